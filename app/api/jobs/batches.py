"""Endpoints that classify many photos in the background."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse

from app.api.dependencies import BYTES, BatchesDep, Name, SettingsDep, form
from app.api.jobs.batch_schemas import Batch, Batches, BatchRequest
from app.errors import NoFile, TooManyFields, TooManyFiles, Unauthorized, UnsupportedContentType
from app.web import uploads
from app.web.auth import reader, trainer
from app.web.multipart import FORM, content_type
from app.web.problem_details import documented
from catdog.datasets.errors import DatasetNotFound
from catdog.errors import ArchiveError, DatabaseUnavailable
from catdog.jobs.errors import JobEnded, JobNotFound, NoResult, QueueFull
from catdog.jobs.job import Job

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, OSError)
UPLOAD_ERRORS = (*uploads.ERRORS, TooManyFields, UnsupportedContentType, NoFile, TooManyFiles, ArchiveError)
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

router = APIRouter(prefix="/batches", tags=["batches"])


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(trainer)],
    responses=documented(*ANY, *UPLOAD_ERRORS, DatasetNotFound, QueueFull),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                FORM: form(BYTES),
                uploads.ZIPS[0]: {"schema": BYTES},
                uploads.JSON: {"schema": BatchRequest.model_json_schema()},
            },
        }
    },
)
async def classify(request: Request, response: Response, batches: BatchesDep, settings: SettingsDep) -> Batch:
    """Queue many photos: a ZIP, in a form with `file` or as the body, or the pictures of a data set, named in JSON.

    The photos of a ZIP are the files with an ending of pictures. They are classified by the version in service, one
    batch after another, at a lower priority than single predictions.
    """
    await batches.jobs.check_room()
    match content_type(request):
        case uploads.JSON:
            job = await batches.accept_dataset((await uploads.read_json(request, BatchRequest)).dataset)
        case sent_as if sent_as == FORM or sent_as in uploads.ZIPS:
            async with batches.incoming() as folder:
                job = await batches.accept_archive(await uploads.read_archive(request, settings, folder))
        case _:
            raise UnsupportedContentType((FORM, uploads.ZIPS[0], uploads.JSON))
    response.headers["Location"] = f"/batches/{job.id}"
    return Batch.of(job)


@router.get("", dependencies=[Depends(reader)], responses=documented(*ANY))
async def listed(batches: BatchesDep, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Batches:
    """The newest batches, newest first."""
    newest = await batches.jobs.ask(lambda jobs: jobs.newest(limit))
    return Batches(batches=[Batch.of(job) for job in newest])


async def asked_for(batch: Name, batches: BatchesDep) -> Job:
    """The batch with this id; `latest` is the newest."""
    return await batches.jobs.get(batch)


TheBatch = Annotated[Job, Depends(asked_for)]


@router.get("/{batch}", dependencies=[Depends(reader)], responses=documented(*ANY, JobNotFound))
async def batch(batch: TheBatch) -> Batch:
    """Progress of a batch; `latest` is the newest."""
    return Batch.of(batch)


@router.get(
    "/{batch}/result",
    dependencies=[Depends(trainer)],
    response_class=FileResponse,
    responses={
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/jsonl")}},
        **documented(*ANY, JobNotFound, NoResult),
    },
)
async def result(
    batch: TheBatch, batches: BatchesDep, format: Annotated[Literal["csv", "jsonl"], Query()] = "csv"
) -> FileResponse:
    """The table of a batch that has succeeded, with a row for each photo, as `catdog classify` writes it."""
    file = batches.result(batch, format)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return FileResponse(file, media_type=MEDIA_TYPES[format], filename=f"{batch.id}.{format}", headers=headers)


@router.delete(
    "/{batch}", status_code=202, dependencies=[Depends(trainer)], responses=documented(*ANY, JobNotFound, JobEnded)
)
async def cancel(batch: TheBatch, batches: BatchesDep) -> Batch:
    """Cancel a batch, which then has no result; a running one ends soon."""
    return Batch.of(await batches.jobs.ask(lambda jobs: jobs.cancel(batch.id)))
