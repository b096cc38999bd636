"""`--sort-into`: photos in a folder for each class."""

import shutil
from pathlib import Path

import pytest

from tests.command.classify.tables import rows
from tests.command.running import Catdog


@pytest.fixture
def mine(catdog: Catdog, photos: Path) -> Path:
    """A folder of photos that may be moved."""
    return Path(shutil.copytree(photos, catdog.folder / "mine"))


def sorted_as(catdog: Catdog, threshold: float = 0.0) -> dict[str, list[str]]:
    """The names that each folder should have, by the result; a second photo of a name has a number."""
    found: dict[str, list[str]] = {}
    for row in rows(catdog.folder / "result.jsonl"):
        if row["error"] is None:
            folder = "unknown" if row["unknown"] or row["probability"] < threshold else row["label"]
            path = Path(row["path"])
            names = found.setdefault(folder, [])
            candidates = [path.name, *(f"{path.stem}-{number}{path.suffix}" for number in (2, 3, 4))]
            names.append(next(name for name in candidates if name not in names))
    return {folder: sorted(names) for folder, names in found.items()}


def there(catdog: Catdog) -> dict[str, list[str]]:
    return {path.name: sorted(each.name for each in path.iterdir()) for path in (catdog.folder / "sorted").iterdir()}


@pytest.mark.parametrize("how", ["copy", "link", "move"])
def test_photos_are_sorted_by_their_label(catdog: Catdog, mine: Path, how: str) -> None:
    before = {str(path): path.read_bytes() for path in mine.rglob("*") if path.is_file()}

    catdog.run("classify", mine, "--to", "result.jsonl", "--sort-into", "sorted", "--sort-by", how)

    assert there(catdog) == sorted_as(catdog)
    assert {path.is_symlink() for path in (catdog.folder / "sorted").rglob("*.png")} >= {how == "link"}
    labelled = [row["path"] for row in rows(catdog.folder / "result.jsonl") if not row["error"]]
    stays = [Path(path).exists() for path in labelled if ".zip" not in path]
    assert set(stays) == {how != "move"}
    contents = sorted(path.read_bytes() for path in (catdog.folder / "sorted").rglob("*") if path.is_file())
    assert contents == sorted(before.get(path) or before[str(mine / "dog" / Path(path).name)] for path in labelled)


def test_unsure_photos_are_sorted_as_unknown(catdog: Catdog, mine: Path) -> None:
    catdog.run("classify", mine, "--to", "result.jsonl", "--sort-into", "sorted", "--threshold", "1")

    assert list(there(catdog)) == ["unknown"]


@pytest.mark.whole
@pytest.mark.parametrize("moment", ["sort.decided", "sort.transferred"])
def test_a_kill_while_photos_are_moved_loses_none(catdog: Catdog, mine: Path, moment: str) -> None:
    command = ["classify", str(mine), "--to", "result.jsonl", "--sort-into", "sorted", "--sort-by", "move"]
    with catdog.start(*command, FAILPOINTS=moment) as killed:
        killed.communicate()

    catdog.run(*command)

    assert there(catdog) == sorted_as(catdog)


def test_a_file_that_is_already_there_stays(catdog: Catdog, mine: Path) -> None:
    for folder in ("cat", "dog"):
        (catdog.folder / "sorted" / folder).mkdir(parents=True)
        (catdog.folder / "sorted" / folder / "1.png").write_text("mine")

    catdog.run("classify", mine / "cat" / "1.png", "--to", "result.jsonl", "--sort-into", "sorted")

    (label,) = [row["label"] for row in rows(catdog.folder / "result.jsonl")]
    assert (catdog.folder / "sorted" / label / "1.png").read_text() == "mine"
    assert (catdog.folder / "sorted" / label / "1-2.png").read_bytes() == (mine / "cat" / "1.png").read_bytes()
