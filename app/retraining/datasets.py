"""Validates labelled pictures and adds them to data sets, off the event loop."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

from app.errors import ServiceError
from app.retraining.database import ServiceDatabase
from app.retraining.thumbnails import Thumbnails
from app.serving.prediction_log import PredictionLog
from app.web.multipart import Upload
from catdog import images
from catdog.datasets import archive
from catdog.datasets.archive import Unpacked
from catdog.datasets.picture_files import Added, New, Picture
from catdog.errors import DatasetError, ImageError
from catdog.names import NEITHER, checked_dataset_name, checked_label, refuse_reserved

if TYPE_CHECKING:
    from catdog.datasets.datasets import Datasets

CHECKERS = 1  # pictures decoded at a time: predictions have priority

Answer = TypeVar("Answer")
Counts = dict[str, dict[str, int]]  # pictures by split, then by class


class DatasetService:
    """The data sets, off the event loop."""

    def __init__(self, records: ServiceDatabase, uploads: PredictionLog) -> None:
        self._records = records
        self.uploads = uploads
        self._thumbnails = Thumbnails(records.data_dir)
        self._threads = CapacityLimiter(4)
        self._checking = CapacityLimiter(CHECKERS)

    async def ask(self, question: "Callable[[Datasets], Answer]") -> Answer:
        """Call `question` with the data sets on a thread, and return its result."""
        return await to_thread.run_sync(lambda: question(self._records.datasets), limiter=self._threads)

    async def add_pictures(
        self, dataset: str, label: str, files: Sequence[Upload | ServiceError]
    ) -> list[Added | Exception]:
        """Store the readable files under a label; return the added picture or the error of each, in order."""
        checked_dataset_name(dataset)
        label = checked_label(label)
        checked = [
            file if isinstance(file, ServiceError) else await to_thread.run_sync(_checked, file, limiter=self._checking)
            for file in files
        ]
        good = [file for file in checked if isinstance(file, Upload)]
        added = iter(await to_thread.run_sync(self._store, dataset, label, good, limiter=self._threads))
        return [next(added) if isinstance(file, Upload) else file for file in checked]

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Path]:
        """`Datasets.incoming`, off the event loop."""
        folder = await self.ask(lambda datasets: datasets.incoming())
        path = await to_thread.run_sync(folder.__enter__, limiter=self._threads)
        try:
            yield path
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(folder.__exit__, None, None, None, limiter=self._threads)

    async def add_archive(self, dataset: str, zipped: Path, folder: Path) -> tuple[list[Added], Unpacked]:
        """Store the pictures of a ZIP, which is in `folder` of `incoming`; ArchiveError if it is refused."""
        checked_dataset_name(dataset)
        return await to_thread.run_sync(self._store_archive, dataset, zipped, folder, limiter=self._threads)

    async def add_feedback(self, dataset: str, prediction_id: str, label: str) -> Picture:
        """Store a predicted photo under its true label, a class or NEITHER; PredictionNotFound if it isn't kept."""
        _, photo = await to_thread.run_sync(self.uploads.get, prediction_id, limiter=self._threads)
        return await self.correct(dataset, label, Upload(f"prediction {prediction_id}", photo))

    async def correct(self, dataset: str, label: str, photo: Upload) -> Picture:
        """Store a photo under the label, a class or NEITHER, that a person gave it, in place of another; ImageError."""
        checked_dataset_name(dataset)
        label = label if label == NEITHER else checked_label(label)
        checked = await to_thread.run_sync(_checked, photo, limiter=self._checking)
        if isinstance(checked, ImageError):
            raise checked
        return await to_thread.run_sync(self._store_corrected, dataset, label, photo, limiter=self._threads)

    async def counts(self, dataset: str) -> Counts:
        """Number of pictures in a data set; raises DatasetNotFound."""
        return (await self.ask(lambda datasets: datasets.counts(dataset)))[dataset]

    async def all_counts(self) -> dict[str, Counts]:
        """Number of pictures in every data set, by name in alphabetical order."""
        return dict(sorted((await self.ask(lambda datasets: datasets.counts())).items()))

    async def check_trainable(self, dataset: str) -> None:
        """Raise DatasetError if no training can use the data set; DatasetNotFound."""
        counts = await self.counts(dataset)
        for label in {label for split in counts.values() for label in split if label != NEITHER}:
            refuse_reserved(label)
        classes = sorted(counts.get("train", {}).keys() - {NEITHER})
        if len(classes) < 2:
            raise DatasetError(
                f"the data set {dataset} has pictures of {' and '.join(classes) or 'no class'} to train on;"
                " a classifier needs two classes or more"
            )

    async def thumbnail(self, dataset: str, sha256: str) -> bytes:
        """A small JPEG of a picture; PictureNotFound, ImageError."""
        stored = await self.ask(lambda datasets: self._stored_thumbnail(datasets, dataset, sha256))
        if stored is not None:
            return stored
        picture = await self.read(dataset, sha256)
        return await to_thread.run_sync(self._thumbnails.make, sha256, picture, limiter=self._checking)

    async def read(self, dataset: str, sha256: str) -> bytes:
        """The bytes of a picture, as it was sent; PictureNotFound if the data set doesn't have it."""
        return await self.ask(lambda datasets: datasets.read(dataset, sha256))

    def _stored_thumbnail(self, datasets: "Datasets", dataset: str, sha256: str) -> bytes | None:
        datasets.refuse_missing(dataset, sha256)
        return self._thumbnails.stored(sha256)

    def _store(self, dataset: str, label: str, files: Sequence[Upload]) -> list[Added]:
        if not files:
            return []
        with self._records.datasets.incoming() as folder:
            new = [New(_written(folder / str(n), file.content), file.name, label) for n, file in enumerate(files)]
            return self._records.datasets.add(dataset, new, "upload")

    def _store_archive(self, dataset: str, zipped: Path, folder: Path) -> tuple[list[Added], Unpacked]:
        inside = folder / "unpacked"
        inside.mkdir()
        unpacked = archive.unpack(zipped, inside)
        new = [New(path, member.name, member.label, member.split) for member, path in unpacked.pictures]
        return self._records.datasets.add(dataset, new, "archive"), unpacked

    def _store_corrected(self, dataset: str, label: str, photo: Upload) -> Picture:
        with self._records.datasets.incoming() as folder:
            new = New(_written(folder / "photo", photo.content), photo.name, label)
            (added,) = self._records.datasets.add(dataset, [new], "feedback", correcting=True)
        return added.picture


def _checked(file: Upload) -> Upload | ImageError:
    try:
        images.decode(file.content)
    except ImageError as error:
        return error
    return file


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
