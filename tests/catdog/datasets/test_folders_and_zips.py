"""A folder on disk and a ZIP of it are read in the same way."""

import tempfile
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from catdog.datasets import folders
from catdog.datasets.archive import unpack
from catdog.datasets.layout import Place
from catdog.errors import ArchiveError, DatasetError
from tests.catdog.datasets.test_archive import PICTURES

NAMES = st.sampled_from(["cat", "dog", "train", "test_set", "photos", "__MACOSX", "é", "unknown", "@eaDir"])
FILES = st.tuples(st.lists(NAMES, max_size=3).map("/".join), st.sampled_from(["1.jpg", "2.txt", ".DS_Store", "Icon\r"]))


def of_disk(root: Path) -> tuple[list[Place], set[str]] | None:
    try:
        layout = folders.read(root)
    except DatasetError:
        return None
    return sorted(layout.pictures.values(), key=str), set(map(str, layout.empty))


def of_zip(root: Path, into: Path) -> tuple[list[Place], set[str]] | None:
    with ZipFile(into / "archive.zip", "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    (into / "unpacked").mkdir()
    try:
        unpacked = unpack(into / "archive.zip", into / "unpacked")
    except ArchiveError:
        return None
    return sorted((Place(one.label, one.split) for one, _ in unpacked.pictures), key=str), set(unpacked.empty)


@settings(max_examples=60, deadline=None)
@given(st.sets(FILES, max_size=10), st.sets(NAMES, max_size=3))
@example({("photos/cat", "1.jpg"), ("photos/dog", "1.jpg"), ("", "2.txt")}, {"é"})
@example({("train/cat", "1.jpg"), ("test_set/dog", "1.jpg"), ("__MACOSX/cat", "1.jpg")}, {"train"})
def test_a_folder_and_a_zip_of_it_are_refused_alike_or_hold_the_same(
    files: set[tuple[str, str]], empty: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "root")
        for place in (*(PurePosixPath(folder) for folder, _ in files), *map(PurePosixPath, empty)):
            (root / place).mkdir(parents=True, exist_ok=True)
        root.mkdir(exist_ok=True)
        for folder, file in files:
            (root / folder / file).write_bytes(PICTURES[1] if file == "1.jpg" else b"text")

        assert of_disk(root) == of_zip(root, Path(name))
