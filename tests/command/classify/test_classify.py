"""The result of `catdog classify`: one row for each photo, with the answers of the service."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store
from tests.app.service import publish
from tests.command.classify.tables import rows
from tests.command.running import Catdog

CLOSE = 1e-6


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_photo_has_one_row_with_the_answer_of_predict(
    catdog: Catdog, photos: Path, paths: list[str], ending: str
) -> None:
    result = catdog.folder / f"result.{ending}"

    said = catdog.run("classify", photos, "--to", result)

    found = rows(result)
    assert [row["path"] for row in found] == paths
    assert list(found[1]) == ["path", "label", "probability", "cat", "dog", "unknown", "version", "error"]
    broken, *answered = found
    assert broken["error"].startswith("the JPEG is broken")
    assert {name: broken[name] for name in ("label", "probability", "cat", "dog", "unknown")} == dict.fromkeys(
        ("label", "probability", "cat", "dog", "unknown")
    )
    files = [row["path"] for row in answered if ".zip" not in row["path"]]
    alone = [json.loads(line) for line in catdog.run("predict", "--json", *files).stdout.splitlines()]
    for row, other in zip(answered, alone, strict=False):
        assert (row["path"], row["label"], row["unknown"], row["version"], row["error"]) == (
            other["path"],
            other["label"],
            other["unknown"],
            1,
            None,
        )
        assert [row["cat"], row["dog"]] == pytest.approx(list(other["probabilities"].values()), abs=CLOSE)
        assert row["probability"] == max(row["cat"], row["dog"])
    assert said.stdout.startswith(f"{result}: {len(paths)} photos, 1 of them with an error, in ")
    assert said.stderr == "2 files in folders and archives are no photos\n"
    assert not list(catdog.folder.glob("*.journal"))


@pytest.fixture(scope="module")
def plain(photos: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of the photos without any options."""
    catdog = Catdog(tmp_path_factory.mktemp("plain"), models_dir)
    catdog.run("classify", photos, "--to", "result.jsonl")
    return rows(catdog.folder / "result.jsonl")


def test_a_file_in_a_zip_has_the_answer_of_the_same_file(photos: Path, plain: list[dict[str, Any]]) -> None:
    found = {row["path"]: row for row in plain}

    packed, same = found[f"{photos}/more.zip/dog/1.png"], found[f"{photos}/dog/1.png"]
    assert packed["cat"] == pytest.approx(same["cat"], abs=CLOSE)


def test_globs_and_a_list_on_standard_input_are_sources(catdog: Catdog, photos: Path) -> None:
    listed = f"{photos}/dog/3.png\n\n{catdog.folder}/none.png\n{photos}/notes.txt\n"

    catdog.run("classify", f"{photos}/*/1.p?g", "-", "--to", "result.jsonl", given=listed)

    found = rows(catdog.folder / "result.jsonl")
    names = ["cat/1.png", "dog/1.png", "dog/3.png"]
    assert [row["path"] for row in found] == [
        *(str(photos / name) for name in names),
        f"{catdog.folder}/none.png",
        str(photos / "notes.txt"),
    ]
    assert [row["error"] for row in found][:4] == [None, None, None, "No such file or directory"]
    assert found[4]["error"].startswith("the bytes are not an image")


def test_a_photo_that_two_sources_name_has_one_row(catdog: Catdog, photos: Path) -> None:
    photo = photos / "cat" / "1.png"

    catdog.run("classify", photo, photo, photos / "cat", "--to", "result.csv")

    found = [row["path"] for row in rows(catdog.folder / "result.csv")]
    assert len(found) == len(set(found)) == 11
    assert found[0] == str(photo)


def test_a_name_that_is_no_utf_8_keeps_its_bytes_in_csv(catdog: Catdog, photos: Path) -> None:
    folder = catdog.folder / "names"
    folder.mkdir()
    strange = folder / os.fsdecode(b"caf\xe9.png")
    strange.write_bytes((photos / "cat" / "1.png").read_bytes())

    catdog.run("classify", folder, "--to", "result.csv")
    catdog.run("classify", folder, "--to", "result.parquet")

    assert [row["path"] for row in rows(catdog.folder / "result.csv")] == [str(strange)]
    assert [row["label"] is not None for row in rows(catdog.folder / "result.parquet")] == [True]


def test_a_link_back_to_its_own_folder_ends(catdog: Catdog, photos: Path) -> None:
    folder = catdog.folder / "loop"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b").symlink_to(folder)
    (folder / "a" / "1.png").write_bytes((photos / "cat" / "1.png").read_bytes())

    catdog.run("classify", folder, "--to", "result.csv")

    assert [row["path"] for row in rows(catdog.folder / "result.csv")] == [str(folder / "a" / "1.png")]


def test_a_threshold_makes_unsure_photos_unknown(catdog: Catdog, photos: Path, plain: list[dict[str, Any]]) -> None:
    of_cats = [row for row in plain if row["path"].startswith(f"{photos}/cat/")]
    surest = max(row["probability"] for row in of_cats)
    catdog.run("classify", photos / "cat", "--to", "sure.jsonl", "--threshold", str(surest))

    unsure = [row["probability"] < surest for row in rows(catdog.folder / "sure.jsonl")]
    assert [row["unknown"] for row in rows(catdog.folder / "sure.jsonl")] == unsure
    assert sorted(set(unsure)) == [False, True]


def test_a_class_that_is_called_like_a_column_has_a_column_of_its_own(tmp_path: Path, photos: Path) -> None:
    publish(tmp_path / "models", ("error", "path"))

    Catdog(tmp_path).run("classify", photos / "cat" / "1.png", "--to", "result.jsonl")

    (row,) = rows(tmp_path / "result.jsonl")
    assert row["class_error"] + row["class_path"] == pytest.approx(1)
    assert row["label"] in ("error", "path")


def test_the_most_probable_classes_are_columns_instead_of_every_class(tmp_path: Path, photos: Path) -> None:
    publish(tmp_path / "models", ("cat", "dog", "fish"))
    catdog = Catdog(tmp_path)
    catdog.run("classify", photos, "--to", "all.jsonl")

    for ending in ("jsonl", "parquet"):
        catdog.run("classify", photos, "--to", f"top.{ending}", "--top-k", "2")
        found = rows(tmp_path / f"top.{ending}")
        assert list(found[0]) == [
            *("path", "label", "probability", "label_2", "probability_2"),
            *("unknown", "version", "error"),
        ]
        for row, other in zip(found, rows(tmp_path / "all.jsonl"), strict=True):
            if row["error"] is None:
                ordered = sorted(((other[name], name) for name in ("cat", "dog", "fish")), reverse=True)
                assert [(row["probability"], row["label"]), (row["probability_2"], row["label_2"])] == ordered[:2]


def test_what_an_answer_is_based_on_is_drawn(catdog: Catdog, photos: Path, plain: list[dict[str, Any]]) -> None:
    catdog.run("classify", photos, "--to", "result.parquet", "--explain-to", "drawn")

    found = rows(catdog.folder / "result.parquet")
    broken, *answered = found
    assert broken["explanation"] is None
    for row, other in zip(answered, plain[1:], strict=True):
        with Image.open(catdog.folder / row["explanation"]) as drawn:
            assert drawn.size == (224, 224)
            assert len(drawn.getcolors(224 * 224) or ()) > 100
        assert row["cat"] == pytest.approx(other["cat"], abs=CLOSE)
    assert len(list((catdog.folder / "drawn").iterdir())) == len(answered)


def test_the_summary_is_printed_as_json(catdog: Catdog, photos: Path, paths: list[str]) -> None:
    said = json.loads(catdog.run("classify", photos, "--to", "result.csv", "--json").stdout)

    assert (said["result"], said["rows"], said["errors"], said["skipped"], said["version"]) == (
        "result.csv",
        len(paths),
        1,
        2,
        1,
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nowhere", "--to", "a.csv"], "there is no file or folder nowhere"),
        (["*.nothing", "--to", "a.csv"], "none matches it as a pattern"),
        ([".", "--to", "a.xls"], "a.xls: the ending says how the result is written; use .csv, .jsonl, .parquet"),
        ([".", "--to", "none/a.csv"], "there is no folder "),
        ([".", "--to", "old.csv"], "old.csv exists already; remove it, or replace it with --overwrite"),
        ([".", "--to", "a.csv", "--sort-into", "sorted"], "sorted lies in a source"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_classified(
    catdog: Catdog, words: list[str], problem: str
) -> None:
    (catdog.folder / "old.csv").write_text("of yesterday")

    said = catdog.run("classify", *words, status=1).stderr

    assert problem in said
    assert said.count("\n") == 1
    assert [path.name for path in catdog.folder.iterdir()] == ["old.csv"]


def test_an_existing_result_is_replaced_if_that_is_asked_for(catdog: Catdog, photos: Path) -> None:
    (catdog.folder / "old.csv").write_text("of yesterday")

    catdog.run("classify", photos / "cat", "--to", "old.csv", "--overwrite")

    assert len(rows(catdog.folder / "old.csv")) == 11


def test_the_answers_are_right(models_dir: Path, catdog: Catdog, photos: Path) -> None:
    """By the engine itself, in float32."""
    version = Store(models_dir).open(1)
    engine = OpenVINOEngine(version.network("f32"), "f32")
    catdog.run("classify", photos / "dog", "--to", "result.jsonl", CATDOG_PRECISION="f32")

    for row in rows(catdog.folder / "result.jsonl"):
        output = engine.infer(images.decode(Path(row["path"]).read_bytes())[np.newaxis])
        expected = version.manifest.calibration.probabilities(output.logits)[0]
        assert [row["cat"], row["dog"]] == pytest.approx(expected, abs=CLOSE)
