"""Endpoints that compare two versions on the same photos, in the background."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from app.api.dependencies import ComparisonsDep, DatasetsDep, Name, json_body
from app.api.jobs.comparison_schemas import ComparisonRequest, VersionComparison, VersionComparisons
from app.api.models import StoreDep
from app.errors import TrainerMissing, Unauthorized, UnsupportedContentType
from app.web import uploads
from app.web.auth import SeesPhotos, reader, trainer
from app.web.problem_details import documented
from catdog.datasets.errors import DatasetNotFound
from catdog.errors import BrokenVersion, DatabaseUnavailable, VersionNotFound
from catdog.jobs.errors import JobEnded, JobNotFound, QueueFull
from catdog.jobs.job import Job
from catdog.versions.store import Store

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, OSError)
ASKING = (UnsupportedContentType, VersionNotFound, BrokenVersion, DatasetNotFound, QueueFull, TrainerMissing)

router = APIRouter(prefix="/comparisons", tags=["models"])


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(trainer)],
    responses=documented(*ANY, *uploads.ERRORS, *ASKING),
    openapi_extra=json_body(ComparisonRequest),
)
async def compare(
    request: Request, response: Response, comparisons: ComparisonsDep, datasets: DatasetsDep, store: StoreDep
) -> VersionComparison:
    """Compare two versions on the same photos of a data set: those of classes that both know, and new to both.

    A process of its own does it at the lowest priority. It needs the trainer.
    """
    asked = await uploads.read_json(request, ComparisonRequest)
    await to_thread.run_sync(_open_all, store, asked.versions)
    await datasets.ask(lambda datasets: datasets.counts(asked.dataset))
    job = await comparisons.accept(asked.model_dump())
    response.headers["Location"] = f"/comparisons/{job.id}"
    return VersionComparison.of(job, sees_photos=True)


@router.get("", dependencies=[Depends(reader)], responses=documented(*ANY))
async def listed(comparisons: ComparisonsDep, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> VersionComparisons:
    """The newest comparisons, newest first, without their photos."""
    newest = await comparisons.ask(lambda jobs: jobs.newest(limit))
    return VersionComparisons(comparisons=[VersionComparison.of(job) for job in newest])


async def asked_for(comparison: Name, comparisons: ComparisonsDep) -> Job:
    """The comparison with this id; `latest` is the newest."""
    return await comparisons.get(comparison)


TheComparison = Annotated[Job, Depends(asked_for)]


@router.get("/{comparison}", dependencies=[Depends(reader)], responses=documented(*ANY, JobNotFound))
async def comparison(comparison: TheComparison, sees_photos: SeesPhotos) -> VersionComparison:
    """Progress and result of a comparison; `latest` is the newest. Photos only for the role `label`."""
    return VersionComparison.of(comparison, sees_photos)


@router.delete(
    "/{comparison}",
    status_code=202,
    dependencies=[Depends(trainer)],
    responses=documented(*ANY, JobNotFound, JobEnded),
)
async def cancel(comparison: TheComparison, comparisons: ComparisonsDep) -> VersionComparison:
    """Cancel a comparison, which then has no result; a running one ends soon."""
    return VersionComparison.of(await comparisons.ask(lambda jobs: jobs.cancel(comparison.id)), sees_photos=True)


def _open_all(store: Store, versions: list[int]) -> None:
    """Read these versions; VersionNotFound, BrokenVersion."""
    for number in versions:
        store.open(number)
