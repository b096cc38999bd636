"""Endpoints for Label Studio, as its machine learning backend: prelabel tasks, store annotations.

The protocol is that of Label Studio 1.23, `label_studio/ml/api_connector.py`.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from app.api.dependencies import DatasetsDep, JobsDep, PredictorDep, SettingsDep, held, queue_place
from app.api.jobs.job_schemas import RetrainRequest
from app.errors import (
    LabelStudioMissing,
    NotReady,
    PictureUnavailable,
    TrainerMissing,
    Unauthorized,
    UnsuitableConfiguration,
    UnsupportedContentType,
)
from app.label_studio.choices import Choices
from app.label_studio.labels import Labels
from app.label_studio.schemas import (
    Event,
    Health,
    ModelVersion,
    NotPrelabelled,
    PredictRequest,
    Prelabel,
    Prelabels,
    Setup,
    Taken,
)
from app.label_studio.source import AT_A_TIME, LabelStudio
from app.serving.prediction import Prediction
from app.web import uploads
from app.web.auth import check_role, labeller
from app.web.problem_details import describe, documented
from catdog.access.roles import Role
from catdog.errors import DatabaseUnavailable, DatasetError
from catdog.jobs.errors import QueueFull

BODY_BYTES: Final = 64 * 2**20  # tasks come with all their annotations, and maybe with their pictures
LABELLED: Final = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED")
TRAINING: Final = "START_TRAINING"

LabelStudioDep = Annotated[LabelStudio, held("label_studio")]
ANY = (Unauthorized, LabelStudioMissing, RequestValidationError, UnsupportedContentType, NotReady, *uploads.ERRORS)

router = APIRouter(prefix="/label-studio", tags=["Label Studio"])


def _as_sent(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body for the OpenAPI document, by an example: Label Studio alone sends it."""
    content = {"schema": {"type": "object"}, "example": model.model_json_schema()["example"]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


@router.get("/health", responses=documented())
async def health() -> Health:
    """Whether the service runs."""
    return Health()


@router.post(
    "/setup",
    dependencies=[Depends(labeller)],
    responses=documented(*ANY, UnsuitableConfiguration),
    openapi_extra=_as_sent(Setup),
)
async def setup(request: Request, predictor: PredictorDep, source: LabelStudioDep) -> ModelVersion:
    """Check that a project's configuration chooses classes for pictures; its version tells when to prelabel again."""
    source.check()
    Choices.of((await uploads.read_json(request, Setup, BODY_BYTES)).configuration)
    return ModelVersion(model_version=str(predictor.champion.manifest.version))


@router.post(
    "/predict",
    dependencies=[Depends(labeller), Depends(queue_place)],
    responses=documented(*ANY, UnsuitableConfiguration),
    openapi_extra=_as_sent(PredictRequest),
)
async def predict(request: Request, predictor: PredictorDep, source: LabelStudioDep) -> Prelabels:
    """Prelabel tasks with the version in service. A picture that can't be fetched or read doesn't stop the others."""
    source.check()
    asked = await uploads.read_json(request, PredictRequest, BODY_BYTES)
    choices, champion = Choices.of(asked.label_config), predictor.champion
    results: list[Prelabel | NotPrelabelled] = []
    for first in range(0, len(asked.tasks), AT_A_TIME):
        tasks = asked.tasks[first : first + AT_A_TIME]
        photos = await source.pictures([choices.address(task.data) for task in tasks])
        answers = await predictor.predict_each(photos, champion)
        results += [_prelabel(answer, choices, request) for answer in answers]
    return Prelabels(model_version=str(champion.manifest.version), results=results)


@router.post(
    "/webhook",
    dependencies=[Depends(labeller)],
    responses=documented(
        *ANY, UnsuitableConfiguration, PictureUnavailable, DatasetError, QueueFull, TrainerMissing, DatabaseUnavailable
    ),
    openapi_extra=_as_sent(Event),
)
async def webhook(
    request: Request,
    predictor: PredictorDep,
    collecting: DatasetsDep,
    retraining: JobsDep,
    settings: SettingsDep,
    source: LabelStudioDep,
) -> Taken:
    """Store annotations as labelled pictures, and start trainings; other events are ignored.

    A training first stores all annotations of the project, also those of which no event arrived. Its key needs the
    role `train`.
    """
    source.check()
    event = await uploads.read_json(request, Event, BODY_BYTES)
    if event.project is None or event.action not in (*LABELLED, TRAINING):
        return Taken()
    dataset = settings.label_studio_dataset
    labels = Labels(source, collecting, dataset, predictor.champion.manifest.classes)
    if event.action in LABELLED:
        await labels.store(event, event.project)
        return Taken(labels=labels.stored, failed=labels.failed)
    check_role(request, Role.TRAIN)
    await labels.store_all(event.project)
    await collecting.check_trainable(dataset)
    job = await retraining.accept(RetrainRequest(dataset=dataset).model_dump(exclude_none=True), None)
    return Taken(labels=labels.stored, failed=labels.failed, job=job.id)


def _prelabel(answer: Prediction | Exception, choices: Choices, request: Request) -> Prelabel | NotPrelabelled:
    if isinstance(answer, Prediction):
        version = str(answer.model_version)
        return Prelabel(result=choices.prelabelled(answer), score=answer.probability, model_version=version)
    return NotPrelabelled(error=describe(answer, request).detail)
