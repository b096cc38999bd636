"""Endpoints of the Open Inference Protocol, version 2, as KServe and Triton clients use it."""

from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

import catdog
from app.api.dependencies import HotSwapDep, PredictorDep, ReadyChampionDep, SettingsDep, ShutdownDep
from app.errors import InvalidInference, ModelNotFound, NotReady, Unauthorized, VersionNotLoaded
from app.protocols import model_repository, open_inference, requests
from app.protocols.requests import ASKING, LOOKING, VersionDep
from app.protocols.schemas import (
    Health,
    IndexEntry,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
    TensorMetadata,
)
from app.protocols.tensors import MODEL
from app.settings import Settings
from app.web import uploads
from app.web.auth import admin, reader
from app.web.problem_details import documented_plainly
from catdog.audit import change
from catdog.errors import BrokenVersion, VersionInService, VersionNotFound
from catdog.versions.store import Store

EXAMPLE = {
    "id": "42",
    **open_inference.EXAMPLE,
    "outputs": [{"name": "probabilities", "parameters": {"classification": 2}}],
}
BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object", "required": ["inputs"]}, "example": EXAMPLE},
        uploads.OCTETS: {"schema": {"type": "string", "format": "binary"}},
    },
}
OPTIONAL_BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}
ANSWER: dict[int | str, dict[str, Any]] = {200: {"model": InferenceResponse, "content": {uploads.OCTETS: {}}}}
BODY_ERRORS = (InvalidInference, *uploads.ERRORS)
CHANGING = (Unauthorized, RequestValidationError, ModelNotFound, NotReady, *BODY_ERRORS)

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])


@router.get("", dependencies=[Depends(reader)], responses=documented_plainly(Unauthorized))
async def server() -> ServerMetadata:
    """This server, and the protocol extensions that it supports."""
    return ServerMetadata(name=MODEL, version=catdog.__version__, extensions=[*open_inference.EXTENSIONS])


@router.get("/health/live", responses=documented_plainly())
async def server_live(predictor: PredictorDep, shutdown: ShutdownDep) -> Health:
    """The process answers."""
    return Health(ready=predictor.serving is not None and not shutdown.ends_service)


@router.get("/health/ready", responses=documented_plainly(NotReady))
async def server_ready(champion: ReadyChampionDep) -> Health:
    """A model is loaded and has answered once; until then 503, with the reason."""
    return Health(ready=True)


async def model_metadata(version: VersionDep, predictor: PredictorDep, settings: SettingsDep) -> ModelMetadata:
    """The model's tensors and its loaded versions. A request has one of the inputs."""
    classes = len(predictor.loaded(version).manifest.classes)
    inputs = [
        TensorMetadata(name=name, datatype=of, shape=shape) for name, (of, shape) in open_inference.INPUTS.items()
    ]
    outputs = [
        TensorMetadata(name=open_inference.PROBABILITIES, datatype="FP32", shape=[-1, classes]),
        TensorMetadata(name=open_inference.LABEL, datatype="BYTES", shape=[-1]),
    ]
    versions = [str(number) for number in predictor.versions]
    return ModelMetadata(versions=versions, platform=settings.engine, inputs=inputs, outputs=outputs)


async def model_ready(version: VersionDep) -> ModelReady:
    """The version is loaded."""
    return ModelReady()


async def infer(request: Request, version: VersionDep, predictor: PredictorDep, settings: SettingsDep) -> Response:
    """Classify pictures: encoded ones (`image`, BYTES [n], in JSON as base64) or raw ones (`pixels`, UINT8).

    Tensors may follow the JSON as binary data, which starts at the byte in the header Inference-Header-Content-Length.
    """
    text_bytes = request.headers.get(open_inference.HEADER)
    reading = partial(open_inference.read, text_bytes=text_bytes, settings=settings)
    asked = await requests.read(request, settings, reading)
    answer = open_inference.write(asked, await requests.predictions(request, predictor, version, asked.pictures))
    if not answer.binary:
        return Response(answer.text, media_type=uploads.JSON)
    headers = {open_inference.HEADER: str(len(answer.text))}
    return Response(answer.text + answer.binary, headers=headers, media_type=uploads.OCTETS)


for address in ("/models/{model}", "/models/{model}/versions/{version}"):
    key = [Depends(reader)]
    router.add_api_route(address, model_metadata, dependencies=key, responses=documented_plainly(*LOOKING))
    router.add_api_route(f"{address}/ready", model_ready, responses=documented_plainly(*LOOKING[1:]))
    router.add_api_route(
        f"{address}/infer",
        infer,
        methods=["POST"],
        dependencies=[*key, Depends(requests.queue_place)],
        response_class=Response,
        responses=ANSWER | documented_plainly(*ASKING),
        openapi_extra={"requestBody": BODY},
    )


@router.post(
    "/repository/index",
    dependencies=[Depends(reader)],
    responses=documented_plainly(Unauthorized, *BODY_ERRORS),
    openapi_extra={"requestBody": OPTIONAL_BODY},
)
async def repository_index(request: Request, predictor: PredictorDep, settings: SettingsDep) -> list[IndexEntry]:
    """Every version: READY if it is loaded, else UNAVAILABLE."""
    body = await _read_change(request, settings)
    return await to_thread.run_sync(model_repository.index, body, Store(settings.models), tuple(predictor.versions))


@router.post(
    "/repository/models/{model}/load",
    dependencies=[Depends(admin), Depends(requests.named)],
    responses=documented_plainly(*CHANGING, VersionNotFound, BrokenVersion),
    openapi_extra={"requestBody": OPTIONAL_BODY},
)
async def load(request: Request, hot_swap: HotSwapDep, settings: SettingsDep, version: str = "") -> IndexEntry:
    """Load a version in addition to the champion: `?version=N`, or the body's parameter `version`."""
    number = model_repository.version_asked(await _read_change(request, settings), version)
    champion = await hot_swap.load(number)
    change.note(version=champion.manifest.version)
    return IndexEntry(version=str(champion.manifest.version), state="READY", reason="")


@router.post(
    "/repository/models/{model}/unload",
    dependencies=[Depends(admin), Depends(requests.named)],
    responses=documented_plainly(*CHANGING, VersionNotLoaded, VersionInService),
    openapi_extra={"requestBody": OPTIONAL_BODY},
)
async def unload(request: Request, hot_swap: HotSwapDep, settings: SettingsDep, version: str = "") -> IndexEntry:
    """Unload a version that was loaded in addition to the champion, which can't be unloaded."""
    number = model_repository.version_asked(await _read_change(request, settings), version)
    unloaded = await hot_swap.unload(number)
    change.note(version=unloaded)
    return IndexEntry(version=str(unloaded), state="UNAVAILABLE", reason="not loaded")


async def _read_change(request: Request, settings: Settings) -> bytes:
    return await uploads.read_body(request, settings, uploads.JSON_BYTES)
