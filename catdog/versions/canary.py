"""A canary: a candidate that answers a share of the clients, and when it is rolled back.

models/canary.json     the canary that runs, else the last one. Replaced under the store's lock, never edited
"""

from collections.abc import Callable, Iterator, Mapping
from math import erfc, sqrt
from time import time
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from catdog.errors import StoreError
from catdog.system.repeating import repeated
from catdog.versions.manifest import Rule
from catdog.versions.measurements import Record
from catdog.versions.places.place import Place

FILE: Final = "canary.json"
CHANCE: Final = 0.01  # significance level: the numbers are judged again and again while they grow

Share = Annotated[float, Field(gt=0, lt=1)]


class Side(Record):
    """What one version did with the photos of its clients."""

    photos: NonNegativeInt = 0  # answered, or failed by a fault of the service
    errors: NonNegativeInt = 0  # of these, failed
    unknown: NonNegativeInt = 0  # of these, called unknown
    seconds: NonNegativeFloat = 0.0  # from admission to the answer, in total

    def plus(self, other: "Side") -> Self:
        names = type(self).model_fields
        return self.model_copy(update={name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def answered(self) -> int:
        return self.photos - self.errors

    @property
    def error_share(self) -> float:
        return self.errors / max(1, self.photos)

    @property
    def unknown_share(self) -> float:
        return self.unknown / max(1, self.answered)

    @property
    def mean_seconds(self) -> float:
        return self.seconds / max(1, self.answered)


class Limits(NamedTuple):
    """How much worse than the champion's the candidate's numbers may be, and from how many photos of each on."""

    photos: int
    errors: float  # rise of the share
    unknown: float  # rise of the share
    latency: float  # as a multiple


class Canary(Record):
    """A candidate that answers a share of the clients. Times are seconds since 1970."""

    version: PositiveInt
    champion: PositiveInt
    share: Share
    limits: Limits | None = None  # of its own, instead of those of the settings
    began_at: float
    candidate: Side = Side()
    usual: Side = Side()  # of the champion, in the same time
    ended_at: float | None = None
    is_rolled_back: bool = False  # by its numbers
    reason: str | None = None  # why it ended

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    def plus(self, sides: Mapping[int, Side]) -> Self:
        """With more numbers, by version."""
        mine, usual = (sides.get(number, Side()) for number in (self.version, self.champion))
        return self.model_copy(update={"candidate": self.candidate.plus(mine), "usual": self.usual.plus(usual)})

    def ended(self, reason: str, is_rolled_back: bool = False) -> Self:
        return self.model_copy(update={"ended_at": time(), "reason": reason, "is_rolled_back": is_rolled_back})


def rules(canary: Canary, limits: Limits) -> Iterator[Rule]:
    """Each number against its limit, by default `limits`; none before both versions have enough photos."""
    limits = canary.limits or limits
    mine, usual = canary.candidate, canary.usual
    if min(mine.photos, usual.photos) < limits.photos:
        return
    yield _share("errors", (mine.errors, mine.photos), (usual.errors, usual.photos), limits.errors)
    if not (mine.answered and usual.answered):
        return
    yield _share("unknown", (mine.unknown, mine.answered), (usual.unknown, usual.answered), limits.unknown)
    ours, theirs, limit = mine.mean_seconds, usual.mean_seconds, usual.mean_seconds * limits.latency
    said = f"{1000 * ours:.1f} ms on average against {1000 * theirs:.1f} ms (limit {1000 * limit:.1f} ms)"
    yield Rule(name="latency", passed=ours <= limit, candidate=ours, champion=theirs, limit=limit, sentence=said)


def _share(name: str, mine: tuple[int, int], usual: tuple[int, int], rise: float) -> Rule:
    """A share may rise by `rise`, or by chance."""
    (count, photos), (others, of) = mine, usual
    ours, theirs = count / photos, others / of
    chance, limit = _chance(count, photos, others, of), theirs + rise
    return Rule(
        name=name,
        passed=ours <= limit or chance >= CHANCE,
        candidate=ours,
        champion=theirs,
        limit=limit,
        chance=chance,
        sentence=f"{name}: {ours:.1%} of {photos:,} photos against {theirs:.1%} of {of:,} (limit {limit:.1%};"
        f" p = {chance:.2g})",
    )


def _chance(count: int, photos: int, others: int, of: int) -> float:
    """The one-sided p-value of the two-proportion z-test; the photos of the two versions are different ones."""
    pooled = (count + others) / (photos + of)
    error = sqrt(pooled * (1 - pooled) * (1 / photos + 1 / of))
    return 1.0 if error == 0 else 0.5 * erfc((count / photos - others / of) / error / sqrt(2))


class Canaries:
    """The store's canary. Reading takes no lock; any number of processes may use it at once."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self) -> Canary | None:
        """The canary that runs, else the last one; StoreError if the file can't be read."""
        try:
            text = self._place.read(FILE)
            return None if text is None else Canary.model_validate_json(text)
        except (OSError, ValidationError) as error:
            raise StoreError(f"the file {FILE} can't be read; remove it to forget the canary") from error

    def running(self) -> Canary | None:
        found = self.read()
        return found if found is not None and found.is_running else None

    def write(self, canary: Canary) -> None:
        """Replace it. Under the store's lock."""
        self._place.replace(FILE, canary.model_dump_json(indent=1) + "\n")

    @repeated
    def change(self, version: int, changed: Callable[[Canary], Canary]) -> Canary | None:
        """Replace the canary of this version by `changed(canary)`; None if it doesn't run any longer."""
        with self._place.changing():
            canary = self.running()
            if canary is None or canary.version != version:
                return None
            if (new := changed(canary)) != canary:
                self.write(new)
            return new
