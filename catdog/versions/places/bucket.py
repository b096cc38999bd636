"""Versions in a bucket: immutable objects under their number, listed by one object that is replaced.

    s3://BUCKET/models/
      state.json             the versions, with size and sha256 of each file; champion, trials, canary
      12/model.weights.h5    a file of version 12; objects under a number never change
      12/manifest.json       written last; then state.json lists the version

Every change is one conditional PUT of `state.json`. If another machine has changed it since it was read, the step is
repeated. So a number goes to one of several publishers, and a version is listed once it is whole. The cache has the
versions used last, and `state.json` as last seen (`catdog.versions.places.bucket_mirror`).
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from catdog.errors import BrokenVersion, StoreError, StoreUnavailable, VersionNotFound
from catdog.system import durable
from catdog.system.location import Remote
from catdog.system.object_store import Conflict, Objects
from catdog.system.repeating import patiently, repeated
from catdog.versions.places.bucket_mirror import Mirror
from catdog.versions.places.bucket_state import State, StoredFile
from catdog.versions.places.folder import LAST, NUMBER
from catdog.versions.version import MANIFEST, Version

CACHED: Final = 10  # versions, the last used
DOWNLOAD: Final = ".download-"  # prefix of hidden files
ABANDONED: Final = timedelta(days=1)  # age of objects of no version


class Bucket:
    """The place of a store in a bucket. Any number of threads, processes and machines may use it at once."""

    is_remote = True

    def __init__(self, remote: Remote) -> None:
        self.root = remote.cache
        self._objects = Objects(remote.url)
        self._state = Mirror(self.root, self._objects)
        self._uploaded: dict[Path, dict[str, StoredFile]] = {}  # by draft

    def __str__(self) -> str:
        return self._objects.url

    def read(self, name: str) -> bytes | None:
        text = self._state.seen().texts.get(name)
        return None if text is None else text.encode()

    def replace(self, name: str, text: str) -> None:
        self._state.put(self._state.seen().with_text(name, text))

    def versions(self) -> tuple[int, ...]:
        return tuple(sorted(self._state.seen().versions))

    def open(self, version: int) -> Version:
        return Version.read(version, self._described(version), self._fetched)

    def _described(self, version: int) -> Path:
        """The folder of a version, with its manifest."""
        folder, listed = self.root / str(version), self._files(version)
        if MANIFEST not in listed:
            raise BrokenVersion(version, f"the bucket lists no {MANIFEST} of it")
        with suppress(FileNotFoundError):
            if StoredFile.of(folder / MANIFEST) == listed[MANIFEST]:
                return folder
            shutil.rmtree(folder)  # of another version: the bucket was emptied or restored since
        self._download(version, MANIFEST, listed[MANIFEST])
        return folder

    def _fetched(self, version: int, only: str | None) -> Path:
        """The folder of a version, with all files or only one."""
        folder = self._described(version)
        for name, file in self._files(version).items():
            if only in (None, name) and not (folder / name).exists():
                self._download(version, name, file)
        self._used(folder)
        return folder

    def changing(self) -> AbstractContextManager[None]:
        return self._state.changing()

    def prepare(self, draft: Path) -> int:
        durable.sync_tree(draft)
        number = patiently(self._take_number)  # else a whole training would be lost
        patiently(lambda: self._upload(draft, number))
        return number

    def add(self, draft: Path, number: int) -> None:
        self._upload(draft, number)  # what isn't yet: the manifest
        files = self._uploaded.pop(draft)

        @repeated
        def listed() -> None:
            try:
                state = self._state.seen()
                self._state.put(state.with_version(number, files).with_text(LAST, f"{max(number, _last(state))}\n"))
            except Conflict:  # about other numbers
                self._state.begin_again()
                raise

        listed()
        if not (kept := self.root / str(number)).exists():
            draft.rename(kept)
            self._used(kept)

    def remove(self, version: int) -> None:
        self._state.put(self._state.seen().without(version))
        with suppress(StoreUnavailable):  # it is no version any longer; `sweep` removes the rest
            self._objects.delete([name for name, _ in self._objects.names(f"{version}/")])
        shutil.rmtree(self.root / str(version), ignore_errors=True)

    def sweep(self) -> None:
        before, listed = datetime.now(UTC) - ABANDONED, self._state.look().versions
        old = [name for name, written in self._objects.names("") if written < before]
        self._objects.delete([each for each in old if NUMBER.fullmatch(_top(each)) and int(_top(each)) not in listed])
        for path in self.root.glob(f"{DOWNLOAD}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()

    @repeated
    def _take_number(self) -> int:
        with self.changing():
            state = self._state.seen()
            number = 1 + max(_last(state), *state.versions, 0)
            self.replace(LAST, f"{number}\n")
            return number

    def _upload(self, draft: Path, number: int) -> None:
        """Upload the files that aren't yet, the manifest last; the bucket copies those that another version has."""
        done = self._uploaded.setdefault(draft, {})
        versions = self._state.seen().versions
        same = {file: f"{each}/{name}" for each, files in versions.items() for name, file in files.items()}
        names = [path.relative_to(draft).as_posix() for path in sorted(draft.rglob("*")) if path.is_file()]
        for name in sorted(set(names) - done.keys(), key=lambda name: name == MANIFEST):
            file = StoredFile.of(draft / name)
            self._create(f"{number}/{name}", draft / name, file, same.get(file))
            done[name] = file

    def _create(self, name: str, path: Path, file: StoredFile, same: str | None) -> None:
        if same is not None:
            with suppress(FileNotFoundError):  # its version was deleted since
                self._objects.copy(same, name)
                return
        try:
            self._objects.put(name, path.read_bytes())
        except Conflict as error:  # by a request whose answer was lost, or by who restored an old state
            if sha256(self._objects.get(name)[0]).hexdigest() != file.sha256:
                raise StoreError(f"the bucket has another object {name} already; remove it") from error

    def _download(self, version: int, name: str, file: StoredFile) -> None:
        """Put a file into the cache: a link to one with the same content there, else from the bucket; BrokenVersion."""
        path, aside = self.root / str(version) / name, self.root / f"{DOWNLOAD}{secrets.token_hex(8)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        for other, files in self._state.seen().versions.items():
            if files.get(name) == file:
                with suppress(OSError):
                    os.link(self.root / str(other) / name, path)
                    return
        try:
            content, _ = self._objects.get(f"{version}/{name}")
        except FileNotFoundError as error:
            raise BrokenVersion(version, f"{name} is missing in the bucket") from error
        if StoredFile(len(content), sha256(content).hexdigest()) != file:
            raise BrokenVersion(version, f"{name} in the bucket is not the file that was published")
        aside.write_bytes(content)
        durable.sync(aside)
        aside.replace(path)

    def _used(self, folder: Path) -> None:
        """Note that a version in the cache was used, and remove those that weren't for longest."""
        os.utime(folder)
        cached = [path for path in self.root.iterdir() if NUMBER.fullmatch(path.name)]
        for path in sorted(cached, key=lambda path: path.stat().st_mtime)[:-CACHED]:
            shutil.rmtree(path, ignore_errors=True)

    def _files(self, version: int) -> Mapping[str, StoredFile]:
        versions = self._state.seen().versions
        if version not in versions:
            raise VersionNotFound(version, tuple(sorted(versions)))
        return versions[version]


def _last(state: State) -> int:
    """The highest number used so far."""
    return int(state.texts.get(LAST, "0"))


def _top(name: str) -> str:
    return name.partition("/")[0]
