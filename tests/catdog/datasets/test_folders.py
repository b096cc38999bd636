import os
import socket
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from catdog.datasets import folders
from catdog.errors import DatasetError
from tests.photos import draw, draw_set
from tests.places import ROOT


def skipped(root: Path) -> dict[str, str]:
    return {str(place): reason for place, reason in folders.listed(root).skipped.items()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_set(tmp_path / "photos", 3)


def test_pictures_are_found_in_their_classes(root: Path) -> None:
    layout = folders.read(root)

    assert layout.classes == ("cat", "dog")
    assert [str(place) for place in layout.pictures] == [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(3)]
    assert not layout.skipped


@pytest.mark.parametrize(
    "place",
    [
        "__MACOSX/cat/._0.png",
        "cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
        "@eaDir/0.png",
        ".git/0.png",
        "cat/.ipynb_checkpoints/0.png",
        "$RECYCLE.BIN/0.png",
        "System Volume Information/0.png",
        "lost+found/0.png",
        "#recycle/cat/0.png",
        "cat/._0.png",
        "cat/.DS_Store",
        "cat/Thumbs.db",
        "cat/desktop.ini",
        "cat/Icon\r",
    ],
)
def test_what_systems_leave_behind_is_as_if_it_weren_t_there(root: Path, place: str) -> None:
    before = folders.read(root)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes((root / "cat" / "0.png").read_bytes())

    assert folders.read(root) == before


def test_what_is_no_picture_is_skipped_with_the_reason(root: Path) -> None:
    (root / "cat" / "empty.jpg").touch()
    (root / "cat" / "notes.txt").write_text("my cats")
    (root / "cat" / "gone.jpg").symlink_to("/nowhere.jpg")
    (root / "cat" / "me.jpg").symlink_to("me.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    (root / "cat" / "up").symlink_to("..")
    (root / os.fsdecode(b"K\xe4tzchen.jpg")).write_text("x")

    found = skipped(root)

    assert {name: reason.partition(";")[0] for name, reason in found.items()} == {
        "cat/empty.jpg": "it is empty",
        "cat/notes.txt": "the bytes are not an image",
        "cat/gone.jpg": "it is a link that leads nowhere",
        "cat/me.jpg": "it can't be read (Too many levels of symbolic links)",
        "cat/pipe.jpg": "it is a pipe, socket or device",
        "cat/up": "it is a link back to a folder that it is in",
        os.fsdecode(b"K\xe4tzchen.jpg"): "its name isn't UTF-8",
    }
    assert len(folders.read(root).pictures) == 6


def test_a_socket_is_no_picture(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / "cat" / "s.jpg"))

        assert skipped(root) == {"cat/s.jpg": "it is a pipe, socket or device"}


def test_a_class_folder_whose_name_is_no_utf_8_is_skipped_and_named(root: Path) -> None:
    name = os.fsdecode(b"K\xe4tzchen")
    draw(root / name / "1.png", "cat", 1)

    layout = folders.read(root)

    assert layout.classes == ("cat", "dog")
    assert dict(layout.skipped) == {PurePosixPath(name): folders.NOT_UTF_8}


def test_links_to_pictures_and_folders_are_followed(root: Path, tmp_path: Path) -> None:
    draw_set(tmp_path / "elsewhere", 2, ("fish",))
    (root / "fish").symlink_to(tmp_path / "elsewhere" / "fish")
    (root / "cat" / "link").symlink_to("0.png")

    assert len(folders.read(root).pictures) == 9


def test_a_broken_picture_is_known_by_its_name(root: Path) -> None:
    (root / "cat" / "broken.JPG").write_text("no picture")

    assert PurePosixPath("cat/broken.JPG") in folders.read(root).pictures


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
READ_AS_NOBODY = """
import os
from pathlib import Path
from catdog.datasets import folders
if os.geteuid() == 0:
    os.setuid(65534)
for place, reason in folders.listed(Path(".")).skipped.items():
    print(place, reason)
"""


def test_files_and_folders_without_permission_are_skipped_and_named(root: Path) -> None:
    (root / "cat" / "0.png").chmod(0)
    (root / "secret").mkdir(mode=0)
    root.chmod(0o755)
    command = [sys.executable, "-c", READ_AS_NOBODY]

    done = subprocess.run(command, cwd=root, env=ENVIRONMENT, capture_output=True, encoding="utf-8", check=True)

    assert sorted(done.stdout.splitlines()) == [
        "cat/0.png it can't be read (Permission denied)",
        "secret it can't be read (Permission denied)",
    ]


@pytest.mark.parametrize("layout", ["empty", "deep"])
def test_folders_that_say_nothing_are_refused_with_the_folder_and_what_was_seen(tmp_path: Path, layout: str) -> None:
    draw_set(tmp_path / "deep" / "a", 1)
    draw_set(tmp_path / "deep" / "b", 1)
    (tmp_path / "empty").mkdir()

    with pytest.raises(DatasetError, match=rf"{layout} can't be read as class folders: .*seen: .*wanted: ") as caught:
        folders.read(tmp_path / layout)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_picture_says_why_the_first_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()

    with pytest.raises(DatasetError, match=r"of 1 left out the first is 1\.jpg: it is empty"):
        folders.read(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        folders.read(tmp_path / "nowhere")
