import io
import stat
import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from catdog.errors import DownloadError
from training.data import archive

PHOTOS = {
    f"cats_and_dogs_filtered/{split}/{name}s/{name}.{number}.jpg": f"{split} {name} {number}".encode() * 50
    for split in ("train", "validation")
    for name in ("cat", "dog")
    for number in (0, 1)
}
BYTES_IN_HEADER = 24  # where a zip's central directory says how long a file is, unpacked
FLAGS_IN_HEADER = 8


def zipped(*more: tuple[str | ZipInfo, bytes], compression: int = ZIP_DEFLATED) -> bytes:
    """An archive like the published one, and `more` after it."""
    file = io.BytesIO()
    with ZipFile(file, "w", compression) as archive:
        for name, content in (*PHOTOS.items(), *more):
            archive.writestr(name, content)
    return file.getvalue()


def unpack(content: bytes, folder: Path) -> Path:
    """`content` unpacked below `folder`."""
    (folder / "photos.zip").write_bytes(content)
    archive.unpack(folder / "photos.zip", folder / "photos")
    return folder / "photos"


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(content: bytes, folder: Path, match: str) -> None:
    with pytest.raises(DownloadError, match=match):
        unpack(content, folder)
    assert [path.name for path in folder.iterdir()] == ["photos.zip"]


def test_photos_are_unpacked_by_split_and_class(tmp_path: Path) -> None:
    wanted = {
        name.removeprefix("cats_and_dogs_filtered/").replace("s/", "/"): content for name, content in PHOTOS.items()
    }
    assert files(unpack(zipped(), tmp_path)) == wanted
    assert "train/cat/cat.0.jpg" in wanted


@pytest.mark.parametrize(
    "name",
    [
        "cats_and_dogs_filtered/vectorize.py",
        "cats_and_dogs_filtered/train/cats/run.py",
        "cats_and_dogs_filtered/train/cats/.hidden.jpg",
        "cats_and_dogs_filtered/train/cats/deeper/cat.jpg",
        "cats_and_dogs_filtered/train/birds/bird.jpg",
        "cats_and_dogs_filtered/train/cats/",
        "__MACOSX/cats_and_dogs_filtered/train/cats/cat.0.jpg",
    ],
)
def test_what_is_no_photo_of_a_class_is_left_out(name: str, tmp_path: Path) -> None:
    assert len(files(unpack(zipped((name, b"")), tmp_path))) == len(PHOTOS)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "/evil.jpg",
        "cats_and_dogs_filtered/train/cats/../../../../evil.jpg",
        "C:/evil.jpg",
        "..\\evil.jpg",
    ],
)
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    refused(zipped((name, b"evil")), tmp_path, "leads out|backslash")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_or_device_is_refused(kind: int, tmp_path: Path) -> None:
    link = ZipInfo("cats_and_dogs_filtered/train/cats/link.jpg")
    link.external_attr = (kind | 0o777) << 16
    refused(zipped((link, b"/etc/passwd")), tmp_path, "link or device")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catdog.datasets.safe_zip.LIMIT_MEMBERS", len(PHOTOS))
    refused(zipped(("one-more.txt", b"")), tmp_path, "9 files, more than 8")


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LIMIT_UNPACKED_BYTES", 1_000_000)
    bomb = zipped(("train/cats/bomb.jpg", bytes(1_000_000)))
    assert len(bomb) < 10_000
    refused(bomb, tmp_path, "more than 1,000,000")


def test_a_file_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped())
    place = content.index(b"PK\x01\x02") + BYTES_IN_HEADER
    content[place : place + 4] = (7).to_bytes(4, "little")
    refused(bytes(content), tmp_path, "damaged")


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped())
    for signature, flags in ((b"PK\x01\x02", FLAGS_IN_HEADER), (b"PK\x03\x04", FLAGS_IN_HEADER - 2)):
        content[content.index(signature) + flags] |= 1
    refused(bytes(content), tmp_path, "encrypted")


def test_a_rare_compression_is_refused(tmp_path: Path) -> None:
    refused(zipped(compression=ZIP_BZIP2), tmp_path, "unsupported compression")


@pytest.mark.parametrize("content", [b"", b"<html>log in to this network</html>", zipped()[:-100]])
def test_what_is_no_whole_zip_file_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(content, tmp_path, "not a ZIP file")


def test_damaged_bytes_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped())
    content[len(next(iter(PHOTOS))) + 35] ^= 0xFF  # within the first photo
    refused(bytes(content), tmp_path, "damaged")


def test_an_archive_without_photos_of_a_class_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with ZipFile(file, "w") as incomplete:
        for name, photo in PHOTOS.items():
            if "validation/dogs" not in name:
                incomplete.writestr(name, photo)
    refused(file.getvalue(), tmp_path, "validation/dog")


def test_what_a_killed_run_left_is_not_mixed_in(tmp_path: Path) -> None:
    half = tmp_path / ".photos.unpacking" / "train" / "cat"
    half.mkdir(parents=True)
    (half / "half.jpg").touch()
    assert len(files(unpack(zipped(), tmp_path))) == len(PHOTOS)
    assert not (tmp_path / ".photos.unpacking").exists()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").touch()
    with pytest.raises(DownloadError, match="not empty"):
        unpack(zipped(), tmp_path)
    assert files(tmp_path / "photos") == {"mine.jpg": b""}


KILLED = """
import os, sys
from pathlib import Path
from training.data import archive
write, written = archive._write, []
def die_in_the_middle(zipped, photo, path):
    write(zipped, photo, path)
    written.append(path)
    if len(written) == 3:
        os.kill(os.getpid(), 9)
archive._write = die_in_the_middle
archive.unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_kill_leaves_no_half_unpacked_folder(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(zipped())
    command: list[str | Path] = [sys.executable, "-c", KILLED, tmp_path / "photos.zip", tmp_path / "photos"]
    assert subprocess.run(command, check=False).returncode == -9
    assert not (tmp_path / "photos").exists()
    assert len(files(unpack(zipped(), tmp_path))) == len(PHOTOS)
