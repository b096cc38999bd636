import gzip
import os
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catdog.datasets import safe_zip
from catdog.datasets.archive import Member, Unpacked, unpack
from catdog.errors import ArchiveError
from tests.catdog.datasets.zips import CRC, declaring, packed
from tests.catdog.images.pictures import patched


def picture(seed: int) -> bytes:
    """A small photo, in one of the formats."""
    file = BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(file, ("PNG", "JPEG", "BMP", "GIF", "WEBP", "AVIF")[seed % 6])
    return file.getvalue()


PICTURES = [picture(seed) for seed in range(6)]
GOOD = packed(*[(f"{('cat', 'dog')[place % 2]}/{place}.jpg", content) for place, content in enumerate(PICTURES)])


def a_tar() -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("cat.jpg"))
    return file.getvalue()


def unpacked(archive: bytes, root: Path) -> Unpacked:
    (root / "archive.zip").write_bytes(archive)
    (root / "folder").mkdir()
    return unpack(root / "archive.zip", root / "folder")


def of(*names: str) -> bytes:
    """An archive with a picture under each name."""
    return packed(*[(name, PICTURES[place % 6]) for place, name in enumerate(names)])


def members(archive: bytes, root: Path) -> list[Member]:
    return [member for member, _ in unpacked(archive, root).pictures]


def refused(archive: bytes, root: Path, match: str, member: str | None = None) -> None:
    with pytest.raises(ArchiveError, match=match) as caught:
        unpacked(archive, root)
    assert caught.value.member == member
    assert sorted(path.name for path in root.rglob("*")) == ["archive.zip", "folder"]


def test_pictures_come_out_to_the_byte_under_names_of_ours(tmp_path: Path) -> None:
    pictures = unpacked(GOOD, tmp_path).pictures
    assert [file.relative_to(tmp_path) for _, file in pictures] == [Path("folder", str(place)) for place in range(6)]
    assert [file.read_bytes() for _, file in pictures] == PICTURES
    assert len(list((tmp_path / "folder").iterdir())) == 6


def test_a_class_folder_is_the_label_of_all_below_it(tmp_path: Path) -> None:
    archive = of("cat/1.jpg", "cat/holiday/by the sea/1.jpg", "wild dog/1.jpg")
    assert members(archive, tmp_path) == [
        Member("1.jpg", "cat", None),
        Member("1.jpg", "cat", None),
        Member("1.jpg", "wild dog", None),
    ]


def test_splits_stay_as_somebody_chose_them(tmp_path: Path) -> None:
    archive = of("train/cat/1.jpg", "Valid/cat/2.jpg", "test_set/dog/3.jpg")
    assert members(archive, tmp_path) == [
        Member("1.jpg", "cat", "train"),
        Member("2.jpg", "cat", "validation"),
        Member("3.jpg", "dog", "test"),
    ]


def test_a_label_is_composed_whatever_the_archive_has(tmp_path: Path) -> None:
    found = members(of("e\u0301te\u0301/1.jpg", "été/2.jpg"), tmp_path)
    assert {member.label for member in found} == {"été"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("1.jpg", PICTURES[0], "in no class folder"),
        ("cat/.DS_Store", b"\0\0\0\1Bud1", "hidden"),
        ("cat/.hidden/1.jpg", PICTURES[0], "hidden"),
        ("__MACOSX/cat/._1.jpg", b"\0\5\x16\7", "hidden"),
        ("cat/Thumbs.db", b"\xd0\xcf\x11\xe0", "made by the system"),
        ("cat/Desktop.ini", b"[.ShellClassInfo]", "made by the system"),
        ("cat/readme.txt", b"my cats", "not an image"),
        ("labels/all.csv", b"1.jpg,cat", "not an image"),
        ("cat/1.tiff", b"II*\0", "TIFF is not a supported format"),
        ("cat/empty.jpg", b"", "empty"),
        ("train/readme.txt", b"my cats", "not an image"),
        ("cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", PICTURES[2], "made by the system"),
        ("cat/Icon\r", b"", "made by the system"),
        ("licence.docx", packed(("[Content_Types].xml", b"<Types/>")), "not an image"),
        ("cat/features.npz", packed(("features.npy", b"\x93NUMPY")), "not an image"),
        ("labels.csv.gz", gzip.compress(b"1.jpg,cat", mtime=0), "a nested archive"),
        ("more.zip", packed(("cat/1.jpg", PICTURES[2])), "a nested archive"),
        ("cat/more.tar", a_tar(), "a nested archive"),
    ],
)
def test_what_is_no_picture_of_a_class_is_left_out_with_a_reason(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    found = unpacked(packed(("cat/0.jpg", PICTURES[0]), (name, content), ("dog/0.jpg", PICTURES[1])), tmp_path)
    assert [member.label for member, _ in found.pictures] == ["cat", "dog"]
    assert len(list((tmp_path / "folder").iterdir())) == 2
    ((left_out, why),) = found.skipped
    assert left_out == name.replace("\r", "\\r")
    assert reason in why


@pytest.mark.parametrize(
    "archive",
    [
        packed(),
        packed(("cat/", b""), ("dog/", b"")),
        of("1.jpg", "2.jpg"),
        of("__MACOSX/cat/1.jpg"),
        packed(("cat/1.jpg", b"meow"), ("dog/2.jpg", b"")),
    ],
)
def test_an_archive_without_a_picture_of_a_class_is_refused(archive: bytes, tmp_path: Path) -> None:
    refused(archive, tmp_path, "no picture in a class folder")


def test_an_archive_of_files_that_are_no_pictures_says_why_the_first_is_none(tmp_path: Path) -> None:
    archive = packed(("cat/1.tiff", b"II*\0"), ("dog/2.tiff", b"II*\0"))
    refused(archive, tmp_path, "of 2 left out the first is cat/1.tiff: TIFF is not a supported format")


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["cat/holiday/1.jpg"], "cat"),
        (["train/photos/cat/1.jpg", "test/photos/dog/1.jpg"], "test/photos"),
        (["images/cat/1.jpg", "images/dog/2.jpg", "docs/readme.jpg"], "images"),
    ],
)
def test_a_folder_that_may_be_a_class_or_hold_them_is_refused(names: list[str], folder: str, tmp_path: Path) -> None:
    archive = packed(*[(name, PICTURES[0]) for name in names], ("photos/labels.csv", b"1,cat"), ("notes.txt", b"mine"))
    refused(archive, tmp_path, "may be a class or hold the classes.*seen: .*wanted: <class>/photo.jpg", folder)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["photos/cat/1.jpg", "photos/dog/2.jpg"], {("cat", None), ("dog", None)}),
        (["a/b/train/cat/1.jpg", "a/b/test/cat/1.jpg"], {("cat", "train"), ("cat", "test")}),
    ],
)
def test_a_folder_that_holds_all_others_is_passed_over(
    names: list[str], labels: set[tuple[str, str | None]], tmp_path: Path
) -> None:
    archive = packed(*[(name, PICTURES[0]) for name in names], ("photos/labels.csv", b"1,cat"), ("notes.txt", b"mine"))
    assert {(member.label, member.split) for member in members(archive, tmp_path)} == labels


def test_class_folders_without_a_picture_are_listed(tmp_path: Path) -> None:
    archive = packed(("cat/1.jpg", PICTURES[0]), ("dog/1.jpg", PICTURES[1]), ("bird/", b""), ("fish/1.txt", b"blub"))
    assert unpacked(archive, tmp_path).empty == ["bird", "fish"]


def test_a_class_in_an_unknown_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    archive = of("K__tzchen/1.jpg", "dog/2.jpg").replace(b"K__tzchen", "Ka\u00e4tzchen".encode("cp1252"))
    refused(archive, tmp_path, "unknown encoding; name it in UTF-8", os.fsdecode(b"Ka\xe4tzchen"))


def test_a_picture_whose_name_is_in_an_unknown_encoding_is_taken_under_one_that_can_be_shown(tmp_path: Path) -> None:
    archive = of("cat/_.jpg", "dog/2.jpg").replace(b"_.jpg", b"\xe4.jpg")
    assert [member.name for member in members(archive, tmp_path)] == ["\\xe4.jpg", "2.jpg"]


def test_pictures_in_splits_beside_pictures_in_none_are_refused(tmp_path: Path) -> None:
    refused(of("cat/1.jpg", "train/cat/2.jpg"), tmp_path, "all must be", "cat/1.jpg")


def test_a_picture_of_a_split_in_no_class_is_refused(tmp_path: Path) -> None:
    refused(of("train/cat/1.jpg", "train/2.jpg"), tmp_path, "in a split, but in no class folder", "train/2.jpg")


def test_a_folder_whose_name_is_no_label_is_refused(tmp_path: Path) -> None:
    refused(of("cat/1.jpg", "dog!/2.jpg"), tmp_path, "can't be the name of a class", "dog!")


def test_classes_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    refused(
        of("train/Cat/1.jpg", "test/cat/2.jpg", "test/dog/3.jpg"), tmp_path, "only in upper and lower case: Cat, cat"
    )


def test_nothing_is_left_where_the_last_file_is_damaged(tmp_path: Path) -> None:
    refused(declaring(GOOD, CRC, 7, member=5), tmp_path, "Bad CRC", "dog/5.jpg")


def test_damage_is_found_in_what_would_be_left_out_as_well(tmp_path: Path) -> None:
    archive = packed(("cat/1.jpg", PICTURES[0]), ("dog/2.jpg", b"bark" * 10_000))
    refused(declaring(archive, CRC, 7, member=1), tmp_path, "Bad CRC", "dog/2.jpg")


@pytest.mark.parametrize(
    ("limit", "value"), [("LIMIT_MEMBERS", 5), ("LIMIT_UNPACKED_BYTES", sum(map(len, PICTURES)) - 1)]
)
def test_nothing_is_left_of_an_archive_over_a_limit(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_zip, limit, value)
    refused(GOOD, tmp_path, f"more than {value:,}")


def test_a_file_that_is_there_already_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(GOOD)
    (tmp_path / "1").write_text("mine")
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "archive.zip", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "archive.zip"]
    assert (tmp_path / "1").read_text() == "mine"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_archive_is_refused_or_gives_pictures_that_were_in_it(data: st.DataObject) -> None:
    archive = GOOD
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(archive) - 1))
        archive = patched(archive, place, data.draw(st.binary(min_size=1, max_size=8)))[: len(archive)]
    with tempfile.TemporaryDirectory() as root:
        try:
            files = [file for _, file in unpacked(archive, Path(root)).pictures]
        except ArchiveError:
            files = []
        assert {file.read_bytes() for file in files} <= set(PICTURES)
        assert set(Path(root).rglob("*")) == {Path(root, "archive.zip"), Path(root, "folder"), *files}
