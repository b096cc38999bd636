"""Deletes everything that is stored of a photo, wherever it is."""

from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, NamedTuple

from anyio import to_thread

from app.retraining.database import ServiceDatabase
from app.retraining.thumbnails import Thumbnails
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.errors import StoreError
from catdog.versions.store import Store

if TYPE_CHECKING:
    from catdog.jobs.history import History


ACTIONS = ("DELETE /photos/", "DELETE /predictions/")
CLOCKS_SECONDS = 300.0  # by which the clocks of two machines may differ


class Erased(NamedTuple):
    """What was deleted of a photo, and the versions that were trained on it, which stay."""

    predictions: list[str]  # ids, whose photo was kept for feedback
    datasets: list[str]
    thumbnail: bool
    features: int  # cached outputs of networks
    answers: int  # cached ones
    findings: int  # of data checks, that named it
    versions: list[int]


class Erasure:
    """Photos of one service."""

    def __init__(self, settings: Settings, records: ServiceDatabase, predictor: Predictor) -> None:
        self._settings = settings
        self._records = records
        self._predictor = predictor
        self._followed = 0.0  # when this machine last followed the others, in seconds since 1970

    async def of_prediction(self, prediction_id: str) -> tuple[str, Erased]:
        """Delete the photo of a prediction; also its sha256. PredictionNotFound, DatasetInUse."""
        kept, _ = await to_thread.run_sync(self._predictor.uploads.get, prediction_id)
        return kept.sha256, await self.of(kept.sha256)

    async def of(self, sha256: str) -> Erased:
        """Delete the photo with this content; DatasetInUse if a training needs it, and nothing is deleted then."""
        datasets = await to_thread.run_sync(lambda: self._records.datasets.remove_everywhere(sha256))
        answers = await self._predictor.forget(sha256)
        return await to_thread.run_sync(self._rest, sha256, datasets, answers)

    def _rest(self, sha256: str, datasets: list[str], answers: int) -> Erased:
        history: History = self._records.jobs.history
        predictions = self._predictor.uploads.forget(sha256)
        self._forget_in_trial(predictions)
        return Erased(
            predictions=predictions,
            datasets=datasets,
            thumbnail=Thumbnails(self._settings.data_dir).remove(sha256),
            features=self._remove_features(sha256),
            answers=answers,
            findings=history.forget_photo(sha256),
            versions=self._versions(sha256),
        )

    def follow(self) -> None:
        """Delete what this machine has of photos that were deleted through others, by the audit log; blocks.

        Machines that share a data folder have nothing left of them.
        """
        from catdog.audit.log import Wanted

        began, moments = time(), dict[str, float]()
        for action in ACTIONS:
            for page in self._records.audit.pages(Wanted(since=self._followed - CLOCKS_SECONDS, action=action)):
                for entry in page:
                    if (sha256 := entry.details.get("sha256")) is not None:
                        moments[sha256] = max(moments.get(sha256, 0.0), entry.at)
        self._predictor.uploads.forget_earlier(moments)
        for sha256 in moments:
            Thumbnails(self._settings.data_dir).remove(sha256)
            self._remove_features(sha256)
        self._followed = began

    def _forget_in_trial(self, predictions: list[str]) -> None:
        """Remove what the trial that runs has recorded of these predictions."""
        trials = Store(self._settings.models).trials
        if predictions and (trial := trials.running()) is not None:
            trials.change(trial.version, lambda known: known.without(predictions))

    def _remove_features(self, sha256: str) -> int:
        from catdog.features import FOLDER, FeatureCache

        files = (self._settings.data_dir / FOLDER).glob("*.sqlite")
        return sum(FeatureCache(file).remove(sha256) for file in files)

    def _versions(self, sha256: str) -> list[int]:
        store = Store(self._settings.models)
        found = []
        for number in store.versions():
            with suppress(StoreError):  # it was deleted since, or its manifest can't be read
                if store.open(number).was_trained_on(sha256):
                    found.append(number)
        return found
