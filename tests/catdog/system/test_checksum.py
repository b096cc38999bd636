from hashlib import sha256
from pathlib import Path

import pytest

from catdog.system.durable import sha256_of


def test_files_are_hashed_one_after_the_other_however_large(tmp_path: Path) -> None:
    contents = [b"", bytes(range(256)) * 5_000, b"end"]
    files = [tmp_path / str(number) for number in range(3)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)

    assert sha256_of(*files) == sha256(b"".join(contents)).hexdigest()
    assert sha256_of(files[1]) == sha256(contents[1]).hexdigest()


def test_a_file_that_is_gone_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "gone")
