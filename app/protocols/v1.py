"""Endpoints of TensorFlow Serving's REST API, which is also KServe's first protocol."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from app.api.dependencies import PredictorDep, SettingsDep
from app.errors import InvalidInference
from app.protocols import requests, tensorflow_serving
from app.protocols.requests import ASKING, LOOKING, ModelName
from app.protocols.schemas import ModelSpec, ModelStatus, SignatureMetadata, VersionStatus
from app.protocols.tensors import short
from app.web.auth import reader
from app.web.problem_details import documented_plainly

CHAMPION = "champion"  # the only label of a version
INSTANCES = {"type": "array", "items": {}, "minItems": 1}
PREDICT = {"type": "object", "properties": {"signature_name": {"type": "string"}, "instances": INSTANCES, "inputs": {}}}
CLASSIFY = {"type": "object", "required": ["examples"], "properties": {"examples": INSTANCES}}
ADDRESSES = ("/models/{model}", "/models/{model}/versions/{version}", "/models/{model}/labels/{label}")

router = APIRouter(prefix="/v1", tags=["TensorFlow Serving"], dependencies=[Depends(reader)])


async def version(predictor: PredictorDep, model: ModelName, version: str = "", label: str = CHAMPION) -> str:
    """The version that an address names, by number or label; InvalidInference, and the errors of `requests.version`."""
    if label != CHAMPION:
        raise InvalidInference(f"there is no label {short(label)}; the only label is {CHAMPION}")
    return await requests.version(predictor, model, version)


VersionDep = Annotated[str, Depends(version)]


async def model_status(request: Request, version: VersionDep, predictor: PredictorDep) -> ModelStatus:
    """The loaded versions: all, or the one that the address names."""
    if "label" in request.path_params:
        version = str(predictor.champion.manifest.version)
    numbers = [version] if version else [str(number) for number in predictor.versions]
    return ModelStatus(model_version_status=[VersionStatus(version=number) for number in numbers])


async def model_metadata(version: VersionDep, predictor: PredictorDep) -> SignatureMetadata:
    """Inputs and outputs of each signature."""
    manifest = predictor.loaded(version).manifest
    signatures = tensorflow_serving.signatures(len(manifest.classes))
    spec = ModelSpec(version=str(manifest.version))
    return SignatureMetadata(model_spec=spec, metadata={"signature_def": {"signature_def": signatures}})


async def predict(
    request: Request, version: VersionDep, predictor: PredictorDep, settings: SettingsDep
) -> dict[str, Any]:
    """Classify pictures: `instances` (row form) or `inputs` (column form), encoded or raw `pixels`."""
    asked = await requests.read(request, settings, partial(tensorflow_serving.read_predict, settings=settings))
    answers = await requests.predictions(request, predictor, version, asked.pictures)
    return tensorflow_serving.write_predict(asked, answers)


async def classify(
    request: Request, version: VersionDep, predictor: PredictorDep, settings: SettingsDep
) -> dict[str, Any]:
    """The classes of each picture in `examples`, with their probabilities."""
    pictures = await requests.read(request, settings, partial(tensorflow_serving.read_classify, settings=settings))
    return tensorflow_serving.write_classify(await requests.predictions(request, predictor, version, pictures))


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


for address in ADDRESSES:
    # Routes with a verb come first, because `{model}` would match it as a part of the name.
    for verb, answer, body in (
        ("predict", predict, _body(PREDICT, tensorflow_serving.EXAMPLE_PREDICT)),
        ("classify", classify, _body(CLASSIFY, tensorflow_serving.EXAMPLE_CLASSIFY)),
    ):
        router.add_api_route(
            f"{address}:{verb}",
            answer,
            methods=["POST"],
            dependencies=[Depends(requests.queue_place)],
            responses=documented_plainly(*ASKING),
            openapi_extra=body,
        )
    looking = documented_plainly(*LOOKING, InvalidInference)
    router.add_api_route(f"{address}/metadata", model_metadata, responses=looking)
    router.add_api_route(address, model_status, responses=looking)
