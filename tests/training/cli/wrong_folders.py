"""Folders without photos of classes, and paths that are no folders: each function makes one and returns its path."""

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

from PIL import Image


def photos(folder: Path, *names: str) -> Path:
    """A file that is a photo under each of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(folder / name, "PNG")
    return folder


def files(folder: Path, content: bytes, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


PNG_HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 100_000, 100_000, 8, 2, 0, 0, 0) + bytes(4)


def nothing(folder: Path) -> Path:
    return folder / "nothing"


def empty(folder: Path) -> Path:
    return folder


def a_file(folder: Path) -> Path:
    return files(folder, b"cat", "photos") / "photos"


def a_zip(folder: Path) -> Path:
    with ZipFile(folder / "photos.zip", "w") as archive:
        archive.writestr("cat/a.png", b"cat")
    return folder / "photos.zip"


def a_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
    return folder / "socket"


def a_device(folder: Path) -> Path:
    return Path(os.devnull)


def a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def a_long_name(folder: Path) -> Path:
    return folder / ("n" * 5000)


def no_utf8_name(folder: Path) -> Path:
    return folder / os.fsdecode(b"\xff\xfe")


def no_classes(folder: Path) -> Path:
    return photos(folder, "a.png", "b.png")


def one_class(folder: Path) -> Path:
    return photos(folder, "cat/a.png", "cat/b.png")


def empty_classes(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir()
    return folder


def texts(folder: Path) -> Path:
    return files(folder, b"no photo", "cat/a.txt", "dog/b.txt")


def empty_files(folder: Path) -> Path:
    return files(folder, b"", "cat/a.jpg", "dog/b.jpg")


def cut_photos(folder: Path) -> Path:
    for name in ("cat/a.png", "dog/b.png"):
        path = photos(folder, name) / name
        path.write_bytes(path.read_bytes()[:40])
    return folder


def huge_photos(folder: Path) -> Path:
    return files(folder, PNG_HEAD, "cat/a.png", "dog/b.png")


def dangling_links(folder: Path) -> Path:
    empty_classes(folder)
    for name in ("cat", "dog"):
        (folder / name / "a.png").symlink_to("nowhere.png")
    return folder


def pipes(folder: Path) -> Path:
    """Reading one would wait for ever."""
    empty_classes(folder)
    for name in ("cat", "dog"):
        os.mkfifo(folder / name / "a.png")
    return folder


def sockets(folder: Path) -> Path:
    empty_classes(folder)
    for name in ("cat", "dog"):
        a_socket(folder / name)
    return folder


def links_in_circles(folder: Path) -> Path:
    empty_classes(folder)
    for name in ("cat", "dog"):
        (folder / name / "a.png").symlink_to(folder / name)
    return folder


def deeper(folder: Path) -> Path:
    return photos(folder, "set/deep/cat/a.png", "other/deep/dog/b.png")


def no_utf8_classes(folder: Path) -> Path:
    return photos(folder, os.fsdecode(b"K\xe4tzchen/a.png"), os.fsdecode(b"H\xfcndchen/b.png"))


def forbidden_classes(folder: Path) -> Path:
    return photos(folder, "unknown/a.png", "ca\tt/b.png")


def only_tests(folder: Path) -> Path:
    return photos(folder, "test/cat/a.png", "test/dog/b.png")


def hidden(folder: Path) -> Path:
    return photos(folder, ".git/a.png", "__MACOSX/b.png")


FOLDERS: tuple[Callable[[Path], Path], ...] = (
    nothing,
    empty,
    a_file,
    a_zip,
    a_socket,
    a_device,
    a_loop,
    a_long_name,
    no_utf8_name,
    no_classes,
    one_class,
    empty_classes,
    texts,
    empty_files,
    cut_photos,
    huge_photos,
    dangling_links,
    pipes,
    sockets,
    links_in_circles,
    deeper,
    no_utf8_classes,
    forbidden_classes,
    only_tests,
    hidden,
)
