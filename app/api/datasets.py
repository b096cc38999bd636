"""Endpoints that add labelled pictures to data sets and describe data sets."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse

from app.api.dataset_schemas import AddedArchive, AddedPicture, AddedPictures, Dataset, Datasets, renamed
from app.api.dependencies import BYTES, DatasetsDep, JobsDep, Name, SettingsDep, Sha256, form, json_body, picture
from app.api.picture_schemas import MadeChange, NewDataset, Renaming
from app.errors import (
    NoFile,
    NoLabel,
    TooManyFields,
    TooManyFiles,
    Unauthorized,
    UnsupportedContentType,
)
from app.web import uploads
from app.web.auth import labeller, reader, trainer
from app.web.multipart import FORM
from app.web.problem_details import describe, documented
from catdog.datasets.errors import DatasetExists, DatasetInUse, DatasetNotFound, PictureNotFound
from catdog.datasets.export import zipped
from catdog.datasets.picture_files import Added
from catdog.errors import ArchiveError, DatabaseUnavailable, DatasetError, StoreUnavailable
from catdog.names import checked_label

if TYPE_CHECKING:
    from catdog.datasets.datasets import Datasets as StoredDatasets

UPLOAD_ERRORS = (
    *uploads.ERRORS,
    TooManyFields,
    UnsupportedContentType,
    NoFile,
    TooManyFiles,
    DatasetError,
)
ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, StoreUnavailable, OSError)
CHANGE_ERRORS = (DatasetNotFound, DatasetError, DatasetInUse)
LABEL = {"type": "string"}

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("", dependencies=[Depends(reader)], responses=documented(*ANY))
async def datasets(collecting: DatasetsDep, retraining: JobsDep) -> Datasets:
    """Every data set, with its pictures per split and class, and its last training."""
    counts = (await collecting.all_counts()).items()
    trained = await retraining.ask(lambda jobs: jobs.history.newest_by_dataset())
    return Datasets(datasets=[Dataset.of(name, found, trained.get(name)) for name, found in counts])


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(labeller)],
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, DatasetError, DatasetExists),
    openapi_extra=json_body(NewDataset),
)
async def create(request: Request, collecting: DatasetsDep) -> Dataset:
    """Create an empty data set. Adding pictures to a new name creates it too."""
    asked = await uploads.read_json(request, NewDataset)
    await collecting.ask(lambda datasets: datasets.create(asked.name))
    return Dataset.of(asked.name, {}, None)


@router.get("/{name}", dependencies=[Depends(reader)], responses=documented(*ANY, DatasetNotFound))
async def dataset(name: Name, collecting: DatasetsDep, retraining: JobsDep) -> Dataset:
    """One data set: its pictures per split and class, and its last training."""
    counts = await collecting.counts(name)
    trained = await retraining.ask(lambda jobs: jobs.history.newest_by_dataset())
    return Dataset.of(name, counts, trained.get(name))


@router.patch(
    "/{name}",
    dependencies=[Depends(labeller)],
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, *CHANGE_ERRORS, DatasetExists),
    openapi_extra=json_body(Renaming),
)
async def rename(name: Name, request: Request, collecting: DatasetsDep) -> MadeChange:
    """Rename a data set, or merge it into another one. It can be undone like any other change."""
    asked = await uploads.read_json(request, Renaming)
    if asked.merge:
        made = await collecting.ask(lambda datasets: datasets.changes.make(name, "dataset", asked.name))
    else:
        made = await collecting.ask(lambda datasets: datasets.changes.rename(name, asked.name))
    return MadeChange.of(made)


@router.delete("/{name}", dependencies=[Depends(labeller)], responses=documented(*ANY, *CHANGE_ERRORS))
async def delete(name: Name, collecting: DatasetsDep) -> MadeChange:
    """Delete a data set with its pictures; 409 while a training needs it. It can be undone like any other change."""
    return MadeChange.of(await collecting.ask(lambda datasets: datasets.changes.make(name, "delete")))


@router.get(
    "/{name}/archive",
    dependencies=[Depends(labeller)],
    response_class=StreamingResponse,
    responses={200: {"content": {uploads.ZIPS[0]: {"schema": BYTES}}}, **documented(*ANY, DatasetNotFound)},
)
async def archive(
    name: Name,
    collecting: DatasetsDep,
    splits: Annotated[bool, Query(description="`split/class/file` instead of `class/file`.")] = False,
) -> StreamingResponse:
    """The pictures as a ZIP with a folder for each class, which `POST /datasets/{name}/archive` accepts again."""
    content = await collecting.ask(lambda datasets: _packed(datasets, name, splits))
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"', "Cache-Control": "private, no-store"}
    return StreamingResponse(content, media_type=uploads.ZIPS[0], headers=headers)


@router.post(
    "/{name}/images",
    status_code=201,
    dependencies=[Depends(labeller)],
    responses=documented(*ANY, *UPLOAD_ERRORS, NoLabel),
    response_model_exclude_none=True,
    openapi_extra={
        "requestBody": {"required": True, "content": {FORM: form({"type": "array", "items": BYTES}, label=LABEL)}}
    },
)
async def add_images(name: Name, request: Request, collecting: DatasetsDep, settings: SettingsDep) -> AddedPictures:
    """Add pictures of one class: a form with `label`, and one or more `file`. The others are added if one is broken."""
    label, files = await uploads.read_labelled(request, settings)
    results = await collecting.add_pictures(name, label, files)
    added = [result for result in results if isinstance(result, Added)]
    return AddedPictures(
        dataset=name,
        results=[_item(result, request) for result in results],
        renamed=renamed([checked_label(label)] * len(added), added),
    )


@router.post(
    "/{name}/archive",
    status_code=201,
    dependencies=[Depends(labeller)],
    responses=documented(*ANY, *UPLOAD_ERRORS, ArchiveError),
    openapi_extra={
        "requestBody": {"required": True, "content": {FORM: form(BYTES), uploads.ZIPS[0]: {"schema": BYTES}}}
    },
)
async def add_archive(name: Name, request: Request, collecting: DatasetsDep, settings: SettingsDep) -> AddedArchive:
    """Add a ZIP of `<class>/...` or `train|validation|test/<class>/...`: a form with `file`, or the ZIP as the body.

    A malformed ZIP is refused as a whole. The answer lists the number of pictures added by class, the files that were
    skipped, and empty class folders.
    """
    async with collecting.incoming() as folder:
        zipped = await uploads.read_archive(request, settings, folder)
        added, unpacked = await collecting.add_archive(name, zipped, folder)
    return AddedArchive.of(name, added, unpacked)


@router.get("/{name}/images/{sha256}", dependencies=[Depends(labeller)], responses=documented(*ANY, PictureNotFound))
async def image(name: Name, sha256: Sha256, collecting: DatasetsDep) -> Response:
    """A picture of a data set, as it was sent."""
    return picture(await collecting.read(name, sha256))


@router.delete(
    "/{name}/images/{sha256}",
    status_code=204,
    dependencies=[Depends(trainer)],
    responses=documented(*ANY, PictureNotFound),
)
async def remove_image(name: Name, sha256: Sha256, collecting: DatasetsDep) -> Response:
    """Remove a picture from a data set for good; its file is deleted unless another data set has it."""
    await collecting.ask(lambda datasets: datasets.remove(name, sha256))
    return Response(status_code=204)


def _packed(datasets: "StoredDatasets", name: str, splits: bool) -> Iterator[bytes]:
    datasets.place.check()  # later the answer has begun
    return zipped(datasets.pictures(name), datasets.file, splits)


def _item(result: Added | Exception, request: Request) -> AddedPicture:
    return AddedPicture.of(result) if isinstance(result, Added) else AddedPicture(problem=describe(result, request))
