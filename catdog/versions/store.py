"""The model store: a directory per version, and a file that names the champion.

    models/
      champion               the number in service, then the previous ones, newest first. Replaced, never edited
      trials.json            trials next to the champion (`catdog.versions.trials`). Replaced, never edited
      1/                     a version; its files never change
        model.weights.h5     or, for a head on a shared backbone, model.weights.json and its files
        manifest.json
        report/
      .last                  the highest number used so far, so that a deleted version's is not reused
      .lock                  held during changes of the store
      .draft-3f9c.../        an unfinished version, locked by the process that makes it

A step interrupted at any point leaves complete versions and either the old or the new champion; other leftovers are
hidden, and removed by the next step of the same kind. Reading takes no lock and writes nothing.
`catdog.versions.places.bucket` describes the same in a bucket.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from catdog.errors import (
    ChampionChanged,
    NoChampion,
    NoEarlierChampion,
    ShippedVersion,
    StoreError,
    VersionInService,
    VersionNotFound,
)
from catdog.system import durable
from catdog.system.failpoints import failpoint
from catdog.system.location import Remote
from catdog.system.repeating import repeated
from catdog.versions import shared_files
from catdog.versions.canary import Canaries
from catdog.versions.manifest import Manifest
from catdog.versions.places.folder import LAST, NUMBER
from catdog.versions.places.place import place
from catdog.versions.trials import Trials
from catdog.versions.version import MANIFEST, WEIGHTS, Version

__all__ = ["Draft", "Store", "Version", "Within"]

SHIPPED = 1  # the version in the repository: in service until another is promoted, and never pruned
CHAMPIONS_REMEMBERED = 20  # the one in service and the previous ones
CHAMPIONS_KEPT = 2  # previous champions that pruning keeps
DRAFT = ".draft-"  # prefix of hidden directories
CHAMPION = "champion"

# A context in which a step runs, under the store's lock; if entering it raises, the step isn't done.
Within = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Draft:
    """An unfinished version: write the weights and the report into `path`, then publish it."""

    path: Path
    _store: "Store"

    @property
    def weights_path(self) -> Path:
        return self.path / WEIGHTS

    def put(self, name: str, content: memoryview, made_from: Path | None = None) -> None:
        """Write a file of the version; it is hard-linked if another version, or `made_from`, has the same bytes."""
        versions = [self._store.root / str(number) / name for number in reversed(self._store.versions())]
        shared_files.put(self.path / name, content, [*([made_from] if made_from else []), *versions])

    def publish(self, describe: Callable[[int], Manifest], within: Within = nullcontext) -> Version:
        """Make the draft a version, all or nothing.

        `describe` gets the number that the store chose and returns the manifest; if it raises, nothing is published. It
        must be fast, because no other process can publish in the meantime. BrokenVersion if the manifest doesn't match
        the files, OSError if the disk is full.
        """
        return self._store._publish(self.path, describe, within)


class Store:
    """The versions below one directory or URL. Any number of processes may use it at once.

    With a URL, changes raise StoreUnavailable if the bucket doesn't answer.
    """

    def __init__(self, root: Path | Remote) -> None:
        self.place = place(root)
        self.root = self.place.root  # of a bucket the cache
        self.trials = Trials(self.place)
        self.canaries = Canaries(self.place)

    def versions(self) -> tuple[int, ...]:
        """The numbers of all versions, oldest first."""
        return self.place.versions()

    def champion(self) -> int:
        """The number of the version in service, else NoChampion."""
        champions = self.champions()
        if not champions:
            raise NoChampion
        return champions[0]

    def champions(self) -> tuple[int, ...]:
        """The version in service, then the previous ones, newest first; empty if there is none."""
        return self._numbers(CHAMPION) or ((SHIPPED,) if SHIPPED in self.versions() else ())

    def open(self, version: int) -> Version:
        """The version with its manifest; its weights are not read or checked."""
        if version not in (versions := self.versions()):
            raise VersionNotFound(version, versions)
        return self.place.open(version)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A directory for making a version, removed at the end unless published."""
        with durable.scratch(self.root, DRAFT) as path:
            yield Draft(path, self)

    @repeated
    def adopt(self, shipped: Path) -> bool:
        """Copy the shipped version from its folder, unless there is a version; whether it was copied."""
        if self.versions():
            return False
        with durable.scratch(self.root, DRAFT) as path:
            shutil.copytree(shipped, path, dirs_exist_ok=True)
            durable.sync_tree(path)
            with self.place.changing():
                if self.versions():
                    return False
                self.place.add(path, SHIPPED)
        return True

    @repeated
    def promote(self, version: int, instead_of: int | None = None, within: Within = nullcontext) -> None:
        """Verify a version and put it into service; ChampionChanged if the champion isn't `instead_of`."""
        with self.place.changing(), within():
            self.open(version).verify()
            champions = self.champions()
            failpoint("promote.verified")
            if version in champions[:1]:
                return
            if instead_of is not None and champions[:1] != (instead_of,):
                raise ChampionChanged(instead_of, champions[0] if champions else None)
            self._put_into_service((version, *champions))
            failpoint("promote.replaced")

    @repeated
    def try_out(self, version: int, champion: int, within: Within = nullcontext) -> None:
        """Begin the trial of a version next to `champion`; ChampionChanged if another is in service.

        It ends a trial that runs. Nothing changes if the version had its trial.
        """
        with self.place.changing(), within():
            self.open(version).verify()
            if (serving := self.champion()) != champion:
                raise ChampionChanged(champion, serving)
            self.trials.begin(version, champion)

    @repeated
    def roll_back(self, within: Within = nullcontext) -> int:
        """Put the previous champion back into service and return its number, else NoEarlierChampion.

        Versions that were deleted or are broken are skipped; the shipped version is the last resort.
        """
        with self.place.changing(), within():
            champion = self.champion()
            version = self._before(champion)
            if version is None:
                raise NoEarlierChampion(champion)
            earlier = self.champions()[1:]
            self._put_into_service(earlier[earlier.index(version) :] if version in earlier else (version,))
            return version

    @repeated
    def delete(self, version: int) -> None:
        """Remove a version that is neither in service nor the shipped one."""
        with self.place.changing():
            if version == SHIPPED:
                raise ShippedVersion(version)
            self._delete(version)

    @repeated
    def prune(self, keep: int) -> tuple[int, ...]:
        """Delete all but the newest `keep`, the last champions and the shipped version; return the numbers deleted.

        The last champions are the one in service, CHAMPIONS_KEPT before it, and the one that a rollback leads to. A
        candidate on trial and a canary are kept.
        """
        with self.place.changing():
            versions, champions = self.versions(), self.champions()
            staying = {SHIPPED, *champions[:1], *[each for each in champions[1:] if each in versions][:CHAMPIONS_KEPT]}
            running = self.trials.running(), self.canaries.running()
            staying |= {each.version for each in running if each is not None}
            if champions and (before := self._before(champions[0])) is not None:
                staying.add(before)
            deleted = tuple(version for version in versions[::-1][keep:] if version not in staying)
            for version in deleted:
                self._delete(version)
            return deleted

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Keep the store as it is inside the block: changes by other processes and threads wait."""
        with self.place.changing():
            yield

    def sweep(self) -> None:
        """Remove what interrupted steps left behind."""
        if any(self.root.glob(f"{DRAFT}*")):
            durable.sweep(self.root, DRAFT)
        self.place.sweep()

    def _put_into_service(self, champions: tuple[int, ...]) -> None:
        lines = (f"{number}\n" for number in champions[:CHAMPIONS_REMEMBERED])
        self.place.replace(CHAMPION, "".join(lines))

    def _before(self, champion: int) -> int | None:
        """The champion that a rollback from this one leads to; None if none can serve."""
        candidates = (*self.champions()[1:], SHIPPED)
        return next((version for version in candidates if self._can_follow(champion, version)), None)

    def _can_follow(self, champion: int, version: int) -> bool:
        try:
            self.open(version).verify()
        except StoreError:
            return False
        return version != champion

    def _publish(self, path: Path, describe: Callable[[int], Manifest], within: Within) -> Version:
        prepared = self.place.prepare(path)  # the slow part, outside the lock
        failpoint("publish.written")
        return self._add(path, prepared, describe, within)

    @repeated
    def _add(self, path: Path, prepared: int | None, describe: Callable[[int], Manifest], within: Within) -> Version:
        with self.place.changing(), within():
            number = prepared or 1 + max((*self._numbers(LAST), *self.versions()), default=0)
            manifest = describe(number)
            Version(number, path, manifest).verify()
            durable.replace_text(path / MANIFEST, manifest.to_json())
            failpoint("publish.described")
            if prepared is None:
                self.place.replace(LAST, f"{number}\n")
            self.place.add(path, number)
            failpoint("publish.renamed")
            return self.place.open(number)

    def _delete(self, version: int) -> None:
        if version not in (versions := self.versions()):
            raise VersionNotFound(version, versions)
        if version in self.champions()[:1]:
            raise VersionInService(version)
        self.trials.forget(version)
        self.place.remove(version)

    def _numbers(self, name: str) -> tuple[int, ...]:
        """The version numbers in a file, one per line; empty if there is no file."""
        try:
            content = self.place.read(name)
        except OSError as error:
            raise StoreError(f"the file {name} can't be read ({error.strerror})") from error
        if content is None:
            return ()
        lines = content.decode("ascii", "replace").splitlines()
        if not lines or not all(NUMBER.fullmatch(line) for line in lines):
            raise StoreError(
                f"the file {name} should hold version numbers, one per line; write one into it or remove it"
            )
        return tuple(map(int, lines))
