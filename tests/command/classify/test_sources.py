"""Where the photos come from: without a list of them in memory, and whatever lies in the folder."""

import os
from pathlib import Path
from zipfile import ZipFile

import pytest

from catdog.errors import ArchiveError, CatdogError
from command.classify.sources import NoSource, Sources


def open_archives() -> int:
    """The number of ZIPs that this process has open."""
    return sum(str(path.readlink()).endswith(".zip") for path in Path("/proc/self/fd").iterdir() if path.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
def test_of_many_archives_few_are_open(photos: Path, tmp_path: Path) -> None:
    for number in range(40):
        with ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.write(photos / "cat" / "1.png", "1.png")

    most = 0
    for photo in Sources((str(tmp_path),)).photos():
        assert photo.read() == (photos / "cat" / "1.png").read_bytes()
        most = max(most, open_archives())

    assert 1 <= most <= 2
    del photo
    assert open_archives() == 0


def test_a_broken_archive_is_a_photo_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")

    (photo,) = Sources((str(tmp_path),)).photos()

    assert photo.path == str(tmp_path / "broken.zip")
    with pytest.raises(ArchiveError):
        photo.read()


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")

    (photo,) = Sources((str(tmp_path),)).photos()

    with pytest.raises(CatdogError, match="it is a pipe, socket or device"):
        photo.read()


def test_the_photos_are_counted_as_they_come(photos: Path, paths: list[str]) -> None:
    sources = Sources((str(photos),))

    assert sources.count() == len(paths) == len(list(sources.photos()))
    assert Sources((str(photos), "-")).count() is None


def test_a_photo_in_an_archive_is_found_by_its_path(photos: Path) -> None:
    assert Sources((str(photos),)).read(f"{photos}/more.zip/dog/1.png") == (photos / "dog" / "1.png").read_bytes()


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(NoSource, match="there is no file or folder nowhere"):
        Sources(("nowhere",))
