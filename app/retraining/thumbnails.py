"""Makes small pictures of the pictures of data sets, once each.

data/thumbnails/
3f/3f9c...             a JPEG, named by the sha256 of the picture; can be deleted
"""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from PIL import Image

from catdog import images

FOLDER = "thumbnails"  # in the data folder
SIDE_PIXELS = 200  # the longer side, for tiles of 100 to 150 pixels on dense displays
QUALITY = 75


class Thumbnails:
    """The thumbnails of one data folder. Any number of threads and processes may use them at once."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / FOLDER

    def stored(self, sha256: str) -> bytes | None:
        """The thumbnail of the picture with this content, None if it hasn't been made."""
        try:
            return self._path(sha256).read_bytes() or None
        except FileNotFoundError:
            return None

    def make(self, sha256: str, picture: bytes) -> bytes:
        """The thumbnail of a picture, which is stored if the disk has room; raises ImageError."""
        content = thumbnail(picture)
        path = self._path(sha256)
        aside = path.with_name(f".{uuid4().hex}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(content)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        return content

    def remove(self, sha256: str) -> bool:
        """Remove a picture's thumbnail; whether there was one."""
        try:
            self._path(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def clean(self, kept: Callable[[set[str]], set[str]]) -> int:
        """Remove thumbnails of pictures that aren't `kept` any more, of which it gets some; returns their number."""
        removed = 0
        for folder in self._root.glob("*/"):
            if made := {path.name for path in folder.iterdir()}:
                gone = made - kept(made)
                for name in gone:
                    (folder / name).unlink(missing_ok=True)
                removed += len(gone)
        return removed

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256


def thumbnail(picture: bytes) -> bytes:
    """A small JPEG of the whole picture, upright and in its proportions; raises ImageError."""
    width, height = images.shown_size(picture)
    scale = SIDE_PIXELS / max(width, height)
    squashed = Image.fromarray(images.decode(picture, SIDE_PIXELS))
    # Decoded to a square first, by the one decoder with its limits: the shorter side only becomes shorter.
    small = squashed.resize((max(1, round(scale * width)), max(1, round(scale * height))), Image.Resampling.BICUBIC)
    file = BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
