"""Versions in a folder, a directory each."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from catdog.system import durable
from catdog.versions.version import Version

DELETED: Final = ".deleted-"  # prefix of hidden directories
LAST: Final = ".last"

NUMBER = re.compile("[1-9][0-9]{0,17}")


class Folder:
    """The place of a store in a folder: `catdog.versions.store` describes it."""

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, name: str, text: str) -> None:
        durable.replace_text(self.root / name, text)

    def versions(self) -> tuple[int, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(int(path.name) for path in self.root.iterdir() if NUMBER.fullmatch(path.name)))

    def open(self, version: int) -> Version:
        return Version.read(version, self._path(version))

    @contextmanager
    def changing(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with durable.locked(self.root / durable.LOCK):
            yield

    def prepare(self, draft: Path) -> None:
        durable.sync_tree(draft)

    def add(self, draft: Path, number: int) -> None:
        draft.rename(self._path(number))
        durable.sync(self.root)

    def remove(self, version: int) -> None:
        self._path(version).rename(self.root / f"{DELETED}{version}")
        durable.sync(self.root)
        for deleted in self.root.glob(f"{DELETED}*"):  # including leftovers of interrupted steps
            shutil.rmtree(deleted, ignore_errors=True)

    def sweep(self) -> None:
        if any(self._left()):
            with self.changing():
                for path in self._left():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _left(self) -> list[Path]:
        return [*self.root.glob(f"{DELETED}*"), *self.root.glob(".*.new")]

    def _path(self, version: int) -> Path:
        return self.root / str(version)
