"""A data set as a ZIP."""

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from catdog.datasets.archive import unpack
from catdog.datasets.datasets import Datasets
from catdog.datasets.export import PIECE_BYTES, zipped
from catdog.datasets.picture_files import New
from tests.app.api.test_datasets import picture
from tests.catdog.datasets.test_datasets import path


def store(datasets: Datasets, *pictures: tuple[bytes, str, str]) -> None:
    """Add pictures: content, name, class."""
    with datasets.incoming() as folder:
        new = []
        for number, (content, name, label) in enumerate(pictures):
            (folder / str(number)).write_bytes(content)
            new.append(New(folder / str(number), name, label))
        datasets.add("pets", new, "upload")


def test_what_is_exported_can_be_uploaded_again(datasets: Datasets, tmp_path: Path) -> None:
    store(datasets, *((picture(n), f"{n}.png", "cat" if n % 2 else "dog") for n in range(30)))
    (tmp_path / "set.zip").write_bytes(b"".join(zipped(datasets.pictures("pets"), datasets.file, splits=True)))
    (tmp_path / "unpacked").mkdir()

    found = unpack(tmp_path / "set.zip", tmp_path / "unpacked")

    before = sorted((one.name, one.label, one.split) for one in datasets.pictures("pets"))
    assert sorted((member.name, member.label, str(member.split)) for member, _ in found.pictures) == before
    assert (found.skipped, found.empty) == ([], [])


def test_names_stay_apart_and_in_their_folder(datasets: Datasets) -> None:
    store(
        datasets,
        (picture(1), "1.png", "cat"),
        (picture(2), "1.PNG", "cat"),
        (picture(3), "../../evil", "cat"),
        (picture(4), "...", "dog"),
    )

    with ZipFile(BytesIO(b"".join(zipped(datasets.pictures("pets"), datasets.file)))) as archive:
        names = archive.namelist()
        assert archive.testzip() is None

    assert len({name.casefold() for name in names}) == 4
    assert [name.split("/")[0] for name in names] == ["cat", "cat", "cat", "dog"]
    assert all(name.count("/") == 1 and ".." not in name.split("/") for name in names)


def test_it_is_made_piece_by_piece_and_without_a_file_that_is_gone(datasets: Datasets) -> None:
    large = picture(1) + bytes(4 * PIECE_BYTES)
    store(datasets, (large, "large.png", "cat"), (picture(2), "2.png", "cat"))
    gone = datasets.pictures("pets")[1]
    path(datasets, gone.sha256).unlink()

    pieces = list(zipped(datasets.pictures("pets"), datasets.file))

    assert max(map(len, pieces)) < 2 * PIECE_BYTES
    with ZipFile(BytesIO(b"".join(pieces))) as archive:
        assert archive.namelist() == ["cat/large.png"]
        assert archive.read("cat/large.png") == large
