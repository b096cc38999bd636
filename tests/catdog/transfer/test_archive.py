"""A version as one file: the same version elsewhere, and nothing of a hostile file."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from catdog.errors import ArchiveError, BrokenVersion, CatdogError
from catdog.transfer import archive
from catdog.versions.store import Store
from tests.app.service import publish

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """A store with a version, and its archive."""
    folder = tmp_path_factory.mktemp("exported")
    store = Store(folder / "models")
    publish(store.root)
    archive.write(store.open(1), folder / "one.zip")
    return store, folder / "one.zip"


def test_a_version_is_the_same_elsewhere(exported: tuple[Store, Path], tmp_path: Path) -> None:
    origin, file = exported
    store = Store(tmp_path)
    publish(store.root, seed=8)
    publish(store.root, seed=9)

    version = archive.publish(file, store)

    assert (version.number, store.champion()) == (3, 1)
    for name, array in origin.open(1).load().items():
        np.testing.assert_array_equal(version.load()[name], array)
    assert (version.path / "report" / "history.csv").read_text() == "epoch,loss\n"
    there, here = origin.open(1).manifest, store.open(3).manifest
    assert here == there.model_copy(update={"version": 3})


def test_the_same_version_gives_the_same_bytes(exported: tuple[Store, Path], tmp_path: Path) -> None:
    store, file = exported

    archive.write(store.open(1), tmp_path / "again.zip")

    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def with_sums(members: Members) -> Members:
    """The members, with sums that fit."""
    rest = {name: content for name, content in members.items() if name != archive.SUMS}
    lines = (f"{sha256(content).hexdigest()}  {name}\n" for name, content in rest.items())
    return {archive.SUMS: "".join(lines).encode(), **rest}


def another_weight(members: Members) -> Members:
    content = bytearray(members["model.weights.h5"])
    content[-1] ^= 1
    return members | {"model.weights.h5": bytes(content)}


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: {each: content for each, content in members.items() if each != name}


def with_file(name: str, content: bytes = b"x") -> Callable[[Members], Members]:
    return lambda members: with_sums(members | {name: content})


def other_manifest(members: Members) -> Members:
    return with_sums(members | {"manifest.json": b"{}"})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (another_weight, "its content isn't what SHA256SUMS says"),
        (lambda members: with_sums(another_weight(members)), "is not the file that manifest.json describes"),
        (without("report/history.csv"), "its files are not the ones in SHA256SUMS"),
        (without(archive.SUMS), "it is not a version: it has no SHA256SUMS"),
        (lambda members: with_sums(without("manifest.json")(members)), "its files are not the ones"),
        (lambda members: members | {"more.txt": b"x"}, "its files are not the ones"),
        (with_file("../outside"), "leads out of it"),
        (with_file("/etc/passwd"), "leads out of it"),
        (with_file("report/deep/file"), "a version has no such file"),
        (with_file(".hidden"), "a version has no such file"),
        (with_file("bomb", bytes(30 * 2**20)), "times its own size"),
        (with_file("manifest.json", b" " * (5 * 2**20)), "larger than|times its own size"),
        (other_manifest, "schema_version"),
    ],
)
def test_a_hostile_archive_leaves_nothing_behind(
    change: Callable[[Members], Members], problem: str, exported: tuple[Store, Path], tmp_path: Path
) -> None:
    with ZipFile(exported[1]) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with ZipFile(tmp_path / "hostile.zip", "w", ZIP_DEFLATED) as file:
        for name, content in change(members).items():
            file.writestr(name, content)
    store = Store(tmp_path / "models")

    with pytest.raises((ArchiveError, BrokenVersion), match=problem):
        archive.publish(tmp_path / "hostile.zip", store)
    assert store.versions() == ()
    assert {path.name for path in tmp_path.iterdir()} <= {"hostile.zip", "models"}
    assert {path.name for path in store.root.glob("*")} <= {".lock"}


def test_a_cut_archive_is_refused(exported: tuple[Store, Path], tmp_path: Path) -> None:
    content = exported[1].read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])

    with pytest.raises(CatdogError, match="damaged or truncated"):
        archive.publish(tmp_path / "cut.zip", Store(tmp_path / "models"))
