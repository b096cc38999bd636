"""Runs a request of either inference protocol, once its key has been checked."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from anyio import to_thread
from fastapi import Depends, Path, Request
from fastapi.exceptions import RequestValidationError

from app.api.dependencies import PredictorDep, SettingsDep
from app.errors import (
    Expired,
    InvalidInference,
    ModelNotFound,
    NotReady,
    TooManyFiles,
    Unauthorized,
    VersionNotLoaded,
)
from app.protocols.tensors import MODEL
from app.serving.prediction import Picture, Prediction
from app.serving.predictor import Predictor
from app.web import uploads
from app.web.auth import client_of
from app.web.uploads import unless_gone
from catdog.errors import ImageError

LOOKING = (Unauthorized, RequestValidationError, ModelNotFound, VersionNotLoaded, NotReady)
ASKING = (*LOOKING, *uploads.ERRORS, InvalidInference, TooManyFiles, Expired)

ModelName = Annotated[str, Path(json_schema_extra={"enum": [MODEL]})]
Asked = TypeVar("Asked")


async def named(model: ModelName) -> None:
    """Raise ModelNotFound if the address names an unknown model."""
    if model != MODEL:
        raise ModelNotFound(model, MODEL)


async def version(predictor: PredictorDep, model: ModelName, version: str = "") -> str:
    """The version that an address names, empty for the champion; ModelNotFound, VersionNotLoaded, NotReady."""
    await named(model)
    predictor.loaded(version)
    return version


async def queue_place(predictor: PredictorDep) -> None:
    """Raise Overloaded if the queue is full."""
    predictor.check_admission()


VersionDep = Annotated[str, Depends(version)]


async def read(request: Request, settings: SettingsDep, reading: Callable[[bytes], Asked]) -> Asked:
    """Read and parse a body, on a thread, and few bodies at a time, because a parsed one may need much memory."""
    body = await uploads.read_body(request, settings, settings.max_batch_bytes)
    return await to_thread.run_sync(reading, body, limiter=request.app.state.parsing)


async def predictions(
    request: Request, predictor: Predictor, version: str, pictures: Sequence[Picture]
) -> list[Prediction]:
    """The answers of a version to all pictures of a request; if one can't be answered, its error is raised.

    Without a version the champion answers, or the canary if this client is one of its own.
    """
    canary = None if version else predictor.canary.model_for(client_of(request))
    answers = await unless_gone(request, predictor.predict_each(pictures, canary or predictor.loaded(version)))
    found = []
    for place, answer in enumerate(answers, 1):
        if isinstance(answer, ImageError):
            raise InvalidInference(f"picture {place} of {len(answers)}: {answer}") from answer
        if isinstance(answer, Exception):
            raise answer
        found.append(answer)
    return found
