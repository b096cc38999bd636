"""Answers photos with the model in service."""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

from app.admission import AdmissionLimit
from app.errors import NotExplainable, NotReady, ServiceError, VersionNotLoaded
from app.serving.answer_cache import AnswerCache
from app.serving.batcher import Batcher, Watch
from app.serving.class_activation import ExplainingEngine
from app.serving.drift import Shift
from app.serving.loaded_model import LoadedModel
from app.serving.prediction import ExplainedPrediction, Picture, Prediction
from app.serving.prediction_log import PredictionLog
from app.serving.queue_stats import QueueFacts, QueueState, QueueStats, together
from app.serving.trials.canary import CanaryTraffic
from app.serving.trials.shadow import ShadowQueue
from app.settings import Settings
from app.siblings import Siblings
from app.telemetry.request_record import record_version
from catdog.engines.engine import Output
from catdog.errors import ImageError
from catdog.versions.measurements import Measure


def check_explains(model: LoadedModel) -> None:
    """Raise NotExplainable if the version has no class activation maps."""
    if model.manifest.head != "pooled":
        raise NotExplainable(model.manifest.version)


class Predictor:
    """Answers with the current champion, on threads, so that the event loop isn't blocked."""

    def __init__(self, settings: Settings, siblings: Siblings | None = None) -> None:
        self._siblings = siblings or Siblings()
        self._siblings.answers |= {"serves": self._serves, "queue": self._queue_facts, "drift": self._drift_counts}
        self._siblings.answers["forget"] = self._forget
        self.uploads = PredictionLog(
            settings.data_dir, settings.keep_uploads, settings.keep_uploads_bytes, settings.keep_uploads_days
        )
        self.shadow = ShadowQueue()
        self.canary = CanaryTraffic()
        self._batcher = Batcher(settings)
        self._cache = AnswerCache(settings.cache_items)
        self._keep = settings.unknown_keep
        self.serving: LoadedModel | None = None
        self.problem: str | None = None  # why the store's champion doesn't serve
        self.others: dict[int, LoadedModel] = {}  # loaded on request, by number; replaced, never changed
        self.swaps = Counter("catdog_swaps", "Hot swaps from one version to another since the start.", registry=None)

    async def forget(self, sha256: str) -> int:
        """Remove cached answers for a photo in all processes of the service; returns their number."""
        others = await self._siblings.ask("forget", sha256=sha256)
        return sum([await self._forget(sha256), *others])

    async def _forget(self, sha256: str) -> int:
        return self._cache.forget(sha256)

    @property
    def champion(self) -> LoadedModel:
        """The version in service; raises NotReady if there is none."""
        if self.serving is None:
            raise NotReady(self.problem or "the model is being loaded")
        return self.serving

    @property
    def measurements(self) -> QueueStats:
        return self._batcher.measurements

    @property
    def admission(self) -> AdmissionLimit:
        """The limit of the queue."""
        return self._batcher.admission

    @property
    def versions(self) -> dict[int, LoadedModel]:
        """The loaded versions by number: the champion, and the ones loaded on request."""
        serving = {} if self.serving is None else {self.serving.manifest.version: self.serving}
        return dict(sorted((self.others | serving).items()))

    def loaded(self, version: str) -> LoadedModel:
        """The loaded version of this number, empty for the champion; VersionNotLoaded, NotReady."""
        if not version:
            return self.champion
        versions = self.versions
        found = [each for number, each in versions.items() if str(number) == version]
        if not found:
            raise VersionNotLoaded(version, tuple(versions))
        return found[0]

    @property
    def queue(self) -> QueueState:
        """State and statistics of the queue of this process."""
        return together([self.measurements.facts(self.admission)])

    async def queues(self) -> QueueState:
        """State and statistics of the queues of all processes."""
        own = self.measurements.facts(self.admission)
        return together([own, *map(QueueFacts.model_validate, await self._siblings.ask("queue"))])

    async def drift(self, hours: int = 1) -> tuple[Shift, ...]:
        """How far the answers of all processes in the last `hours` have drifted; NotReady without a champion."""
        champion = self.champion
        elsewhere = await self._siblings.ask("drift", version=champion.manifest.version, hours=hours)
        return champion.drift.shifts(hours, [counts for counts in elsewhere if counts])

    async def drifted(self) -> tuple[Measure, ...]:
        """The measures that have drifted within the last hour; none without a champion."""
        return () if self.serving is None else tuple(shift.measure for shift in await self.drift() if shift.drifted)

    def check_admission(self) -> None:
        """Raise Overloaded if the queue is full."""
        self._batcher.admission.check(retry_seconds=self._batcher.seconds_to_drain)

    def swap(self, champion: LoadedModel) -> None:
        """Put a loaded, warm version into service; running requests finish on the previous one."""
        if self.serving is not None and self._siblings.leads:  # else each process would count it
            self.swaps.inc()
        self.serving = champion

    async def _serves(self) -> bool:
        return self.serving is not None

    async def _queue_facts(self) -> dict[str, Any]:
        return self.measurements.facts(self.admission).model_dump()

    async def _drift_counts(self, version: int, hours: int) -> dict[Measure, list[int]]:
        """The counts of the version in service; none if it is another one."""
        serving = self.serving
        return serving.drift.counts(hours) if serving is not None and serving.manifest.version == version else {}

    def close(self) -> None:
        """End the threads, and close the file of kept photos."""
        self._batcher.close()
        self.uploads.close()

    async def predict(self, photo: bytes, keep: float | None = None, asked: LoadedModel | None = None) -> Prediction:
        """The answer for an encoded photo; raises ImageError, NotReady, Overloaded, Expired.

        `keep` is the share of the photos of the classes that stay known, None for that of the settings. `asked` is the
        loaded version that answers, None for the champion.
        """
        with self._batcher.admission.admitted(1, self._batcher.seconds_to_drain):
            return await self._predict(asked or self.champion, photo, keep)

    async def output(self, asked: LoadedModel, pixels: NDArray[np.uint8]) -> Output:
        """A loaded version's output for one photo, uint8 RGB (224, 224, 3), which isn't kept or counted as an answer.

        Raises Overloaded, Expired.
        """
        with self._batcher.admission.admitted(1, self._batcher.seconds_to_drain):
            return await self._batcher.infer(
                asked.engine, pixels, lambda output: Output(*(each.copy() for each in output))
            )

    async def explain(
        self, photo: bytes, drawn: bool, keep: float | None = None, asked: LoadedModel | None = None
    ) -> ExplainedPrediction:
        """The answer of `predict` with its class activation map, also as a picture if `drawn`.

        Raises the errors of `predict`, and NotExplainable.
        """
        model = asked or self.champion
        check_explains(model)
        engine = ExplainingEngine(model.engine)

        def answer(output: Output) -> ExplainedPrediction:
            prediction = self._answer(model, photo, output, keep)
            place = model.manifest.classes.index(prediction.label)
            return ExplainedPrediction(
                **dict(prediction), explanation=engine.explanation(place, model.manifest.classes, drawn)
            )

        record_version(model.manifest.version)
        with self._batcher.admission.admitted(1, self._batcher.seconds_to_drain):
            explained = await self._batcher.infer(engine, photo, answer)
        self._batcher.measurements.answered.inc()
        return explained

    async def predict_each(
        self, photos: Sequence[Picture | ServiceError], champion: LoadedModel | None = None, keep: float | None = None
    ) -> list[Prediction | Exception]:
        """The answer or the error of each photo, in order, all from one version, by default the champion.

        Only a few photos of a batch are in the queue at a time, so that other requests get their turn; Overloaded if
        there is no room for these few.
        """
        champion = champion or self.champion
        engine = champion.engine
        most = max(engine.streams + 1, engine.largest_batch // 4)  # one more is decoded while all streams infer
        at_a_time = min(len(photos), most, self._batcher.admission.limit)
        turns = asyncio.Semaphore(at_a_time)

        async def answer(photo: Picture | ServiceError) -> Prediction | Exception:
            async with turns:
                return await self._try(champion, photo, keep)

        with self._batcher.admission.admitted(at_a_time, self._batcher.seconds_to_drain):
            return await asyncio.gather(*map(answer, photos))

    async def _try(
        self, champion: LoadedModel, photo: Picture | ServiceError, keep: float | None
    ) -> Prediction | Exception:
        if isinstance(photo, ServiceError):
            return photo
        try:
            return await self._predict(champion, photo, keep)
        except Exception as error:
            return error

    async def _predict(self, champion: LoadedModel, photo: Picture, keep: float | None) -> Prediction:
        version, began = champion.manifest.version, perf_counter()
        record_version(version)
        try:
            prediction = await self._inferred(champion, photo, keep)
        except ImageError:
            raise
        except Exception:
            self.canary.failed(version)
            raise
        self.canary.answered(version, perf_counter() - began, prediction.unknown)
        return prediction

    async def _inferred(self, champion: LoadedModel, photo: Picture, keep: float | None) -> Prediction:
        prediction_id, watch, version = None, None, champion.manifest.version
        if keep is None and self.shadow.wants(version):  # another share would give other unknown photos
            prediction_id = self.uploads.new_id()
            watch = self.shadow.watcher(version, prediction_id)

        def answer(output: Output) -> Prediction:
            return self._answer(champion, photo, output, keep, prediction_id)

        if self._cache.limit and isinstance(photo, bytes):
            prediction = await self._remembered(champion, photo, answer, watch)
        else:
            prediction = await self._batcher.infer(champion.engine, photo, answer, watch)
        self._batcher.measurements.answered.inc()
        return prediction

    def _answer(
        self, champion: LoadedModel, photo: Picture, output: Output, keep: float | None, id: str | None = None
    ) -> Prediction:
        """Convert the output to an answer, with a new `id` by default, count it for drift, and keep the photo."""
        prediction = champion.answer(output, id or self.uploads.new_id(), self._keep if keep is None else keep)
        champion.drift.add(prediction)
        if isinstance(photo, bytes):
            self.uploads.add(prediction, photo)
        return prediction

    async def _remembered(
        self, champion: LoadedModel, photo: bytes, answer: Callable[[Output], Prediction], watch: Watch | None
    ) -> Prediction:
        """The answer from the cache if the photo is in it, else from the engine."""
        key = await asyncio.to_thread(self._cache.key, champion.manifest, photo)
        if (known := self._cache.get(key)) is not None:
            self._batcher.measurements.cached.inc()
            return await asyncio.to_thread(answer, known)

        def remember(output: Output) -> tuple[Output, Prediction]:
            return output, answer(output)

        output, prediction = await self._batcher.infer(champion.engine, photo, remember, watch)
        self._cache.put(key, output)
        return prediction
