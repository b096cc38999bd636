"""Packs a folder of photos into a ZIP to upload."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple
from zipfile import ZIP_STORED, ZipFile

from catdog.datasets.folders import listed

CHUNK_BYTES: Final = 2**20


class Archive(NamedTuple):
    """A ZIP in a temporary file."""

    file: IO[bytes]
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """The content from the beginning."""
        self.file.seek(0)
        while chunk := self.file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def packed(folder: Path) -> Iterator[Archive]:
    """An uncompressed ZIP of the pictures below a folder; DatasetError if it is no folder."""
    found = listed(folder)
    with TemporaryFile() as file:
        with ZipFile(file, "w", ZIP_STORED) as archive:
            for place in sorted(found.pictures):
                archive.write(folder / place, str(place))
        yield Archive(file, file.tell())
