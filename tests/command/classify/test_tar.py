"""Photos in TAR archives."""

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from catdog.errors import ArchiveError, CatdogError
from command.classify import tar
from command.classify.sources import Sources
from tests.command.classify.tables import rows
from tests.command.running import Catdog


def packed(path: Path, photos: Path, count: int = 3) -> Path:
    """A TAR, compressed by its ending, of `count` photos and a text."""
    modes = {".tar": "w:", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}
    with tarfile.open(path, modes[path.suffix]) as archive:  # type: ignore[call-overload]
        for number in range(count):
            archive.add(photos / "cat" / f"{number}.png", f"cat/{number}.png")
        archive.add(photos / "notes.txt", "cat/notes.txt")
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.xz"])
def test_the_photos_of_a_tar_are_those_of_its_files(photos: Path, tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, photos)
    sources = Sources((str(tmp_path),))

    found = list(sources.photos())

    assert [photo.path for photo in found] == [f"{path}/cat/{number}.png" for number in range(3)]
    assert [photo.read() for photo in found] == [(photos / "cat" / f"{number}.png").read_bytes() for number in range(3)]
    assert sources.skipped == 1
    for number in (0, 2, 1):
        assert sources.read(f"{path}/cat/{number}.png") == (photos / "cat" / f"{number}.png").read_bytes()


def test_a_tar_is_classified_and_sorted(catdog: Catdog, photos: Path) -> None:
    packed(catdog.folder / "pets.tar.gz", photos)

    catdog.run("classify", "pets.tar.gz", photos / "cat" / "1.png", "--to", "result.jsonl", "--sort-into", "sorted")

    found = rows(catdog.folder / "result.jsonl")
    assert [row["path"] for row in found][:3] == [f"pets.tar.gz/cat/{number}.png" for number in range(3)]
    assert found[1]["cat"] == pytest.approx(found[3]["cat"], abs=1e-6)
    contents = sorted(path.read_bytes() for path in (catdog.folder / "sorted").rglob("*.png"))
    assert contents == sorted((photos / "cat" / f"{number}.png").read_bytes() for number in (0, 1, 1, 2))


def test_a_truncated_tar_is_one_more_row_with_the_error(photos: Path, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", photos, count=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    *good, last = tar.photos(path)

    assert 0 < len(good) < 10
    assert last.path == str(path)
    with pytest.raises(ArchiveError, match="damaged or truncated"):
        last.read()


def test_a_link_in_a_tar_is_never_followed(tmp_path: Path) -> None:
    link = tarfile.TarInfo("passwd.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(link, BytesIO())

    (photo,) = tar.photos(tmp_path / "a.tar")

    with pytest.raises(CatdogError, match="it is a link or device"):
        photo.read()
