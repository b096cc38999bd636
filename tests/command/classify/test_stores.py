"""`catdog classify` on photos in an object store, and on tables that list them."""

import csv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from command.classify.sources import Sources
from tests.command.classify.tables import rows
from tests.command.running import Catdog
from tests.object_store import fill, s3

NAMES = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3)]


@pytest.fixture(scope="module")
def store(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with the bucket `pets`: six photos, a broken one and a text."""
    folder = tmp_path_factory.mktemp("bucket")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((photos / name).read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "cat" / "readme.txt").write_text("no photo")
    with s3() as variables:
        fill(variables, "pets", folder)
        yield variables


@pytest.fixture(scope="module")
def local(photos: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The probability of a cat of each photo on the disk, by its place."""
    catdog = Catdog(tmp_path_factory.mktemp("local"), models_dir)
    catdog.run("classify", *(photos / name for name in NAMES), "--to", "local.jsonl")
    return {name: row["cat"] for name, row in zip(NAMES, rows(catdog.folder / "local.jsonl"), strict=True)}


@pytest.fixture
def cloud(catdog: Catdog, store: dict[str, str]) -> Catdog:
    """The command, which finds the server."""
    catdog.environment |= store
    return catdog


def test_a_bucket_is_classified_like_a_folder(cloud: Catdog, local: dict[str, float]) -> None:
    cloud.run("classify", "s3://pets", "--to", "result.jsonl", "--sort-into", "sorted")

    found = {row["path"]: row for row in rows(cloud.folder / "result.jsonl")}
    assert list(found) == ["s3://pets/broken.jpg", *(f"s3://pets/{name}" for name in NAMES)]
    assert found["s3://pets/broken.jpg"]["error"].startswith("the JPEG is broken")
    for name in NAMES:
        assert found[f"s3://pets/{name}"]["cat"] == pytest.approx(local[name], abs=1e-6)
    assert len([path for path in (cloud.folder / "sorted").rglob("*.png") if path.is_file()]) == len(NAMES)


def test_an_object_a_pattern_and_what_is_not_there_are_sources(cloud: Catdog) -> None:
    sources = ("s3://pets/dog/1.png", "s3://pets/*/2.png", "s3://pets/none.png", "s3://nowhere/1.png")

    cloud.run("classify", *sources, "--to", "result.jsonl")

    found = rows(cloud.folder / "result.jsonl")
    places = ["dog/1.png", "cat/2.png", "dog/2.png", "none.png"]
    assert [row["path"] for row in found] == [*(f"s3://pets/{place}" for place in places), "s3://nowhere/1.png"]
    assert [row["error"] is None for row in found] == [True, True, True, False, False]
    assert found[3]["error"].startswith("it can't be read from its store (")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_lists_paths_and_urls(cloud: Catdog, photos: Path, local: dict[str, float], ending: str) -> None:
    places = [str(photos / NAMES[0]), f"s3://pets/{NAMES[1]}", "", str(photos / "none.png")]
    table = cloud.folder / f"list.{ending}"
    if ending == "csv":
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("number", "photo"), *enumerate(places)])
    else:
        parquet.write_table(pa.table({"number": [0, 1, 2, 3], "photo": places}), table)

    cloud.run("classify", table, "--column", "photo", "--to", "result.jsonl")

    found = rows(cloud.folder / "result.jsonl")
    assert [row["path"] for row in found] == [place for place in places if place]
    assert [row["cat"] for row in found[:2]] == pytest.approx([local[name] for name in NAMES[:2]], abs=1e-6)
    assert found[2]["error"] == "No such file or directory"


def test_a_result_is_a_list_for_the_next_command(catdog: Catdog, photos: Path) -> None:
    catdog.run("classify", photos / "cat", "--to", "first.csv")
    catdog.run("classify", "first.csv", "--to", "second.csv")

    assert rows(catdog.folder / "second.csv") == rows(catdog.folder / "first.csv")


@pytest.mark.parametrize(("scheme", "library"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_a_store_whose_library_is_missing_is_named_with_the_extra(catdog: Catdog, scheme: str, library: str) -> None:
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")

    done = catdog.run("classify", f"{scheme}://pets", "--to", "result.csv", status=2)

    assert f"this needs {library}, which isn't installed; install catdog with its extra `cloud`" in done.stderr
    assert not list(catdog.folder.glob("result*"))


def test_what_cannot_be_a_source_is_said_before_anything_is_classified(catdog: Catdog) -> None:
    (catdog.folder / "list.csv").write_text("a,b\n1,2\n")
    (catdog.folder / "list.parquet").write_bytes(b"no table")

    def said(*words: str) -> str:
        return catdog.run("classify", *words, "--to", "result.csv", status=1).stderr

    assert "list.csv has no column 'path'; choose one with --column: a, b" in said("list.csv")
    assert "list.parquet is no Parquet file" in said("list.parquet")
    assert "is in no store that can be read; use s3://, gs://, az:// or a path" in said("ftp://host/1.jpg")
    assert not (catdog.folder / "result.csv.journal").exists()


def test_the_number_of_photos_in_a_store_is_not_counted_before(store: dict[str, str]) -> None:
    assert Sources(("s3://pets",)).count() is None
