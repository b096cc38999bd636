"""Endpoints that list, promote, roll back and delete model versions."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response

from app.api import model_catalog
from app.api.dependencies import ChampionDep, HotSwapDep, SettingsDep
from app.api.model_schemas import Model, ModelVersion, ModelVersions, Report
from app.errors import NotReady, Unauthorized
from app.serving.loaded_model import LoadedModel
from app.settings import Settings
from app.web.auth import admin, check_role, reader
from app.web.problem_details import documented
from catdog.access.roles import Role
from catdog.audit import change
from catdog.errors import (
    BrokenVersion,
    NoChampion,
    NoEarlierChampion,
    ShippedVersion,
    StoreError,
    StoreUnavailable,
    VersionInService,
    VersionNotFound,
)
from catdog.versions.store import Store

OCTETS = "application/octet-stream"
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".csv": "text/csv", ".json": "application/json"}
LOOKING = (Unauthorized, RequestValidationError, VersionNotFound, BrokenVersion, StoreUnavailable)

router = APIRouter()


async def store(settings: SettingsDep) -> Store:
    """The store of versions on the disk."""
    return Store(settings.models)


StoreDep = Annotated[Store, Depends(store)]
Number = Annotated[int, Path(ge=1, lt=10**18)]


@router.get("/model", tags=["model"], dependencies=[Depends(reader)], responses=documented(NotReady, Unauthorized))
async def model(champion: ChampionDep, settings: SettingsDep) -> Model:
    """The version in service: its classes, metrics and training."""
    return Model.of(champion.manifest, settings.unknown_keep, precision=champion.engine.precision)


@router.get("/models", tags=["models"], dependencies=[Depends(reader)], responses=documented(Unauthorized))
async def models(store: StoreDep) -> ModelVersions:
    """Every version, newest first."""
    return ModelVersions(versions=await to_thread.run_sync(model_catalog.listed, store))


@router.get("/models/{version}", tags=["models"], dependencies=[Depends(reader)], responses=documented(*LOOKING))
async def model_version(version: Number, store: StoreDep, settings: SettingsDep) -> ModelVersion:
    """One version: its metrics, its training, and a comparison with the champion."""
    return await to_thread.run_sync(model_catalog.described, store, version, settings.unknown_keep)


@router.get("/models/{version}/report", tags=["models"], dependencies=[Depends(reader)], responses=documented(*LOOKING))
async def report(version: Number, store: StoreDep) -> Report:
    """The report files of a version's training."""
    return await to_thread.run_sync(model_catalog.report, store, version)


@router.get(
    "/models/{version}/report/{name}",
    tags=["models"],
    dependencies=[Depends(reader)],
    response_class=FileResponse,
    responses={200: {"content": {OCTETS: {}, **{kind: {} for kind in MEDIA_TYPES.values()}}}, **documented(*LOOKING)},
)
async def report_file(version: Number, name: str, store: StoreDep, request: Request) -> Response:
    """One of these files. Those with `needs_admin_key` show training photos: they require the role `label`."""
    file = await to_thread.run_sync(model_catalog.report_file, store, version, name)
    if file is None:
        raise HTTPException(
            404, f"version {version} has no such file in its report; GET /models/{version}/report lists them"
        )
    if name not in model_catalog.WITHOUT_PHOTOS:
        check_role(request, Role.LABEL)
    media_type = MEDIA_TYPES.get(file.suffix, OCTETS)
    return FileResponse(file, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})


@router.post(
    "/models/{version}/promote",
    tags=["models"],
    dependencies=[Depends(admin)],
    responses=documented(*LOOKING, StoreError),
)
async def promote(version: Number, hot_swap: HotSwapDep, settings: SettingsDep) -> Model:
    """Put a version into service once it has been loaded and has answered; if that fails, nothing changes."""
    return _described(await hot_swap.promote(version), settings)


@router.post(
    "/rollback",
    tags=["models"],
    dependencies=[Depends(admin)],
    responses=documented(Unauthorized, NoEarlierChampion, BrokenVersion, StoreError, NoChampion, StoreUnavailable),
)
async def roll_back(hot_swap: HotSwapDep, settings: SettingsDep) -> Model:
    """Put the previous champion back into service; if it can't be loaded, nothing changes."""
    return _described(await hot_swap.roll_back(), settings)


@router.delete(
    "/models/{version}",
    tags=["models"],
    status_code=204,
    dependencies=[Depends(admin)],
    responses=documented(
        Unauthorized, RequestValidationError, VersionNotFound, VersionInService, ShippedVersion, StoreUnavailable
    ),
)
async def delete(version: Number, store: StoreDep) -> Response:
    """Delete a version that is neither in service nor the shipped one."""
    await to_thread.run_sync(store.delete, version)
    change.note(version=version)
    return Response(status_code=204)


def _described(champion: LoadedModel, settings: Settings) -> Model:
    return Model.of(champion.manifest, settings.unknown_keep, precision=champion.engine.precision)
