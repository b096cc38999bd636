"""Finds what the model in service says of the pictures of data sets, and which of them look alike.

It reads the features that trainings have cached, and computes those of other pictures on request.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray

from app.retraining.database import ServiceDatabase
from app.retraining.judged import Judged, Said
from app.serving.loaded_model import LoadedModel
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog import images
from catdog.datasets.errors import PictureNotFound
from catdog.engines.engine import Output
from catdog.errors import ImageError, StoreError
from catdog.features import FOLDER, Entry, FeatureCache, fingerprint, thumbnail
from catdog.names import folded
from catdog.network import head
from catdog.network.architecture import Arrays
from catdog.versions.manifest import Manifest
from catdog.versions.ood import Detector, of_length_1
from catdog.versions.store import Store

SURE = 0.9  # an answer with a lower probability is unsure
ROWS = 2_000  # pictures judged at a time: their features take 4 MB
ALIKE = 300  # pictures listed as similar
TOGETHER = 32  # pictures looked at by one request, so that it takes a second or two
JUDGE_SECONDS = 0.25  # for answers to pictures whose features are known: a list shows its first ones within a second
MORE_SECONDS = 1.0  # the same for the request that goes on with them

Kind = Literal["disagrees", "unsure", "unknown"]
Features = NDArray[np.float32]
Answer = TypeVar("Answer")


class Opinion(NamedTuple):
    """The model's answer to a picture."""

    label: str
    probability: float
    unknown: bool


class Looked(NamedTuple):
    """How many pictures a request looked at, how many known ones it judged, how many are left, or can't be read."""

    pictures: int
    judged: int
    left: int
    unreadable: int


@dataclass(frozen=True)
class Judge:
    """What a version judges with, the cache of its features, and what it has said of pictures.

    `head` is None if the cached rows have the logits.
    """

    manifest: Manifest
    detector: Detector | None
    cache: FeatureCache
    head: Arrays | None
    keep: float
    judged: Judged = field(default_factory=Judged)
    turn: Lock = field(default_factory=Lock)  # to judge

    def features(self, rows: NDArray[np.float32]) -> Features:
        return rows[:, -self.manifest.architecture.features :]

    def said(self, rows: NDArray[np.float32]) -> Said:
        """The answers to these cached rows, (n, length)."""
        manifest, detector, features = self.manifest, self.detector, self.features(rows)
        logits = rows[:, : len(manifest.classes)] if self.head is None else head.logits(features, self.head)
        probabilities = manifest.calibration.probabilities(logits)
        unknown = np.zeros(len(rows), bool)
        if detector is not None:
            unknown = detector.familiarity(features) < detector.threshold(self.keep)
        classes, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
        return Said(classes.astype(np.uint16), highest.astype(np.float32), unknown)

    def judge(self, contents: Sequence[str], seconds: float) -> tuple[int, int]:
        """Judge those of these contents whose features are cached, for about so long.

        Returns how many were judged, and for how many there was no time.
        """
        until, judged = monotonic() + seconds, 0
        if not self._unjudged(contents):  # needn't wait for its turn
            return 0, 0
        with self.turn:  # another request judges the same ones
            rest = self._unjudged(contents)
            while rest:
                if entries := self.cache.read(rest[:ROWS]):
                    self.judged.add(list(entries), self.said(np.stack([entry.row for entry in entries.values()])))
                judged, rest = judged + len(entries), rest[ROWS:]
                if monotonic() > until:
                    break
        return judged, len(rest)

    def _unjudged(self, contents: Sequence[str]) -> list[str]:
        places, _ = self.judged.of(contents)
        new = np.ones(len(contents), bool)
        new[places] = False
        return [contents[place] for place in np.flatnonzero(new).tolist()]

    def directions(self, rows: NDArray[np.float32]) -> Features:
        """The features, whitened if the version can do so, and of length 1: alike pictures have a product near 1."""
        features, detector = self.features(rows), self.detector
        if detector is None or detector.bank is None:
            return of_length_1(features)
        return detector.bank.whitened(features)

    def entry(self, output: Output, pixels: NDArray[np.uint8]) -> Entry:
        """What is cached of a picture."""
        row = output.features if self.head is not None else np.hstack([output.logits, output.features])
        return Entry(row[0], thumbnail(pixels))


class Opinions:
    """The opinions of the model in service; every method raises NotReady without one."""

    def __init__(self, settings: Settings, records: ServiceDatabase, predictor: Predictor) -> None:
        self._settings = settings
        self._records = records
        self._predictor = predictor
        self._threads = CapacityLimiter(2)
        self._judge: Judge | None = None
        self._judging = Lock()
        self._unreadable: set[str] = set()

    async def of(self, contents: Collection[str]) -> dict[str, Opinion]:
        """The opinions of these contents, by sha256, of which the features are known."""
        model = self._predictor.champion

        def found() -> dict[str, Opinion]:
            asked, judge = list(contents), self._judge_of(model)
            judge.judge(asked, JUDGE_SECONDS)
            places, said = judge.judged.of(asked)
            labels = (judge.manifest.classes[place] for place in said.classes)
            columns = labels, said.probabilities.tolist(), said.unknown.tolist()
            return {asked[place]: Opinion(*one) for place, *one in zip(places, *columns, strict=True)}

        return await to_thread.run_sync(found, limiter=self._threads)

    async def that(self, dataset: str, kind: Kind) -> list[str]:
        """The judged contents of a data set with such an opinion, the clearest cases first; DatasetNotFound."""
        model = self._predictor.champion

        def found() -> list[str]:
            labels = self._records.datasets.listing.contents(dataset)
            contents, judge = list(labels), self._judge_of(model)
            judge.judge(contents, JUDGE_SECONDS)
            places, said = judge.judged.of(contents)
            fits, order = _of_kind(kind, said, [labels[contents[place]] for place in places], judge.manifest.classes)
            chosen = np.flatnonzero(fits)
            return [contents[place] for place in places[chosen[np.argsort(order[chosen], kind="stable")]]]

        return await to_thread.run_sync(found, limiter=self._threads)

    async def like(self, dataset: str, sha256: str) -> list[str]:
        """The contents of a data set that look like a picture of it, the most similar first, that one included.

        DatasetNotFound, PictureNotFound, ImageError.
        """
        model = self._predictor.champion
        labels = await self._ask(lambda: self._records.datasets.listing.contents(dataset))
        if sha256 not in labels:
            raise PictureNotFound(dataset, sha256)
        judge = await self._ask(lambda: self._judge_of(model))
        if not await self._ask(lambda: judge.cache.read([sha256])):
            await self._look_at(model, judge, dataset, sha256)
        return await self._ask(lambda: _alike(judge, sha256, list(labels)))

    async def prepare(self) -> None:
        """Read what the version in service judges with, before the first list by opinion waits for it."""
        model = self._predictor.serving
        if model is not None:
            with suppress(StoreError, OSError):  # which a request for opinions reports
                await self._ask(lambda: self._judge_of(model))

    async def look(self, dataset: str) -> Looked:
        """Judge pictures of a data set, or look at some that the model hasn't seen; DatasetNotFound, Overloaded."""
        model = self._predictor.champion
        judge = await self._ask(lambda: self._judge_of(model))
        contents = await self._ask(lambda: list(self._records.datasets.listing.contents(dataset)))
        judged, left = await self._ask(lambda: judge.judge(contents, MORE_SECONDS))
        if left:
            return Looked(0, judged, left, len(self._unreadable & set(contents)))
        missing = await self._ask(lambda: [one for part in _parts(contents) for one in _missing(judge, part)])
        unseen = [one for one in missing if one not in self._unreadable]
        looked = unseen[:TOGETHER]
        for sha256 in looked:
            try:
                await self._look_at(model, judge, dataset, sha256)
            except (ImageError, PictureNotFound):  # it may have been removed since
                self._unreadable.add(sha256)
        await self._ask(lambda: judge.judge(looked, JUDGE_SECONDS))
        unreadable = len(self._unreadable & set(contents))
        return Looked(len(looked), judged, len(unseen) - len(looked), unreadable)

    async def _look_at(self, model: LoadedModel, judge: Judge, dataset: str, sha256: str) -> None:
        pixels = await self._ask(lambda: images.decode(self._records.datasets.read(dataset, sha256)))
        output = await self._predictor.output(model, pixels)
        await self._ask(lambda: judge.cache.add({sha256: judge.entry(output, pixels)}))

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        return await to_thread.run_sync(question, limiter=self._threads)

    def _judge_of(self, model: LoadedModel) -> Judge:
        """The judge of a loaded version. The first time it reads the version's weights, to find its features."""
        with self._judging:
            version = model.manifest.version
            if self._judge is None or self._judge.manifest.version != version:
                network = Store(self._settings.models).open(version).network(self._settings.precision)
                name = fingerprint(network, model.engine.precision)
                arrays = head.of(network.arrays) if network.architecture.head == "pooled" else None
                cache = FeatureCache(self._settings.data_dir / FOLDER / f"{name}.sqlite")
                self._judge = Judge(model.manifest, model.detector, cache, arrays, self._settings.unknown_keep)
            return self._judge


def _parts(contents: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(contents), ROWS):
        yield contents[start : start + ROWS]


def _missing(judge: Judge, contents: Sequence[str]) -> list[str]:
    known = judge.cache.known(contents)
    return [one for one in contents if one not in known]


def _rows(judge: Judge, contents: Sequence[str]) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """The cached rows of these contents in parts, with their sha256."""
    for part in _parts(contents):
        if known := judge.cache.read(part):
            yield list(known), np.stack([entry.row for entry in known.values()])


def _of_kind(
    kind: Kind, said: Said, labels: Sequence[str], classes: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which of n judged pictures are of this kind, (n,), and the numbers by which they are sorted, (n,)."""
    match kind:
        case "disagrees":
            alike = {label: np.array([folded(label) == folded(name) for name in classes]) for label in set(labels)}
            agrees = [bool(alike[label][place]) for label, place in zip(labels, said.classes, strict=True)]
            return ~np.array(agrees, bool), -said.probabilities
        case "unsure":
            return said.probabilities < SURE, said.probabilities
        case "unknown":
            return said.unknown, said.probabilities


def _alike(judge: Judge, sha256: str, contents: Sequence[str]) -> list[str]:
    asked = judge.directions(judge.cache.read([sha256])[sha256].row[np.newaxis])[0]
    found: list[tuple[float, str]] = []
    for known, rows in _rows(judge, contents):
        found += zip((judge.directions(rows) @ asked).tolist(), known, strict=True)
        found = sorted(found, reverse=True)[:ALIKE]
    return [content for _, content in found]
