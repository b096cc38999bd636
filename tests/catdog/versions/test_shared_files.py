import errno
import os
from pathlib import Path

import pytest

from catdog.versions import shared_files

CONTENT = memoryview(os.urandom(3 * shared_files.BLOCK_BYTES + 5))


def written(path: Path, content: bytes | memoryview) -> Path:
    path.write_bytes(content)
    return path


def test_the_same_content_is_on_the_disk_once(tmp_path: Path) -> None:
    first = written(tmp_path / "first", CONTENT)

    shared_files.put(tmp_path / "second", CONTENT, [tmp_path / "missing", first])

    assert (tmp_path / "second").samefile(first)


def test_what_a_file_has_stays_when_the_one_that_it_is_shared_with_is_deleted(tmp_path: Path) -> None:
    first = written(tmp_path / "first", CONTENT)
    shared_files.put(tmp_path / "second", CONTENT, [first])

    first.unlink()

    assert (tmp_path / "second").read_bytes() == CONTENT


@pytest.mark.parametrize("change", [0, shared_files.BLOCK_BYTES, -1])
def test_nearly_the_same_content_is_not_shared(tmp_path: Path, change: int) -> None:
    other = bytearray(CONTENT)
    other[change] ^= 1
    damaged = written(tmp_path / "damaged", bytes(other))
    shorter = written(tmp_path / "shorter", CONTENT[:-1])

    shared_files.put(tmp_path / "whole", CONTENT, [damaged, shorter])

    assert (tmp_path / "whole").read_bytes() == CONTENT
    assert (tmp_path / "whole").stat().st_nlink == 1


def test_a_link_to_somewhere_else_is_not_shared(tmp_path: Path) -> None:
    elsewhere = written(tmp_path / "elsewhere", CONTENT)
    (tmp_path / "link").symlink_to(elsewhere)

    shared_files.put(tmp_path / "whole", CONTENT, [tmp_path / "link", tmp_path])

    assert not (tmp_path / "whole").is_symlink()
    assert not (tmp_path / "whole").samefile(elsewhere)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_there_are_no_links_the_file_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """On another file system, on one without links, or at the limit of links to one file."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    first = written(tmp_path / "first", CONTENT)

    shared_files.put(tmp_path / "second", CONTENT, [first])

    assert (tmp_path / "second").read_bytes() == CONTENT
    assert not (tmp_path / "second").samefile(first)


def test_one_content_is_read_once_however_many_versions_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = written(tmp_path / "0", bytes(len(CONTENT)))
    for number in range(1, 5):
        os.link(first, tmp_path / str(number))
    opened: list[Path] = []
    really_open = Path.open

    def watch(path: Path, *arguments: object, **more: object) -> object:
        opened.append(path)
        return really_open(path, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", watch)

    shared_files.put(tmp_path / "new", CONTENT, [tmp_path / str(number) for number in range(5)])

    assert opened == [first, tmp_path / "new"]
