"""Stores annotations of Label Studio as labelled pictures of a data set."""

import logging
from collections.abc import Sequence
from typing import Final

from app.errors import ServiceError
from app.label_studio.choices import Choices
from app.label_studio.schemas import Annotation, Event, Project, Task
from app.label_studio.source import AT_A_TIME, LabelStudio
from app.retraining.datasets import DatasetService
from app.web.multipart import Upload
from catdog.errors import DatasetError, ImageError

logger = logging.getLogger(__name__)

REASONS: Final = 10

Said = tuple[Task, Annotation]


class Labels:
    """Stores annotations in one data set, and counts them. `classes` are those of the version in service."""

    def __init__(self, source: LabelStudio, collecting: DatasetService, dataset: str, classes: Sequence[str]) -> None:
        self._source = source
        self._collecting = collecting
        self._dataset = dataset
        self._classes = classes
        self.stored = 0
        self.failed: list[str] = []

    async def store(self, event: Event, project: Project) -> None:
        """Store what an event says; UnsuitableConfiguration, and the errors of the database."""
        tasks = event.task if isinstance(event.task, list) else [event.task]
        said = event.annotation if isinstance(event.annotation, list) else [event.annotation]
        await self._store(project, list(zip(tasks, said, strict=False)))

    async def store_all(self, project: Project) -> None:
        """Store the last annotation of each task of the project; PictureUnavailable if they can't be fetched."""
        exported = await self._source.annotated(project.id)
        said = [
            (Task.model_validate(task), Annotation.model_validate(annotation))
            for task in exported
            for annotation in task.get("annotations", [])[-1:]
        ]
        await self._store(project, said)

    async def _store(self, project: Project, said: Sequence[Said]) -> None:
        choices = Choices.of(project.label_config)
        chosen = [
            (task, label)
            for task, annotation in said
            if not annotation.was_cancelled and (label := choices.label(annotation.result, self._classes))
        ]
        for first in range(0, len(chosen), AT_A_TIME):
            some = chosen[first : first + AT_A_TIME]
            addresses = [choices.address(task.data) for task, _ in some]
            for (task, label), photo in zip(some, await self._source.pictures(addresses), strict=True):
                await self._keep(task, label, photo)

    async def _keep(self, task: Task, label: str, photo: bytes | ServiceError) -> None:
        try:
            if isinstance(photo, ServiceError):
                raise photo
            await self._collecting.correct(self._dataset, label, Upload(f"Label Studio task {task.id}", photo))
        except (ServiceError, ImageError, DatasetError) as error:
            logger.warning("the label of Label Studio's task %d isn't stored: %s", task.id, error)
            self.failed = [*self.failed, f"task {task.id}: {error}"][:REASONS]
        else:
            self.stored += 1
