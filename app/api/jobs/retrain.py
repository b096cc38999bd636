"""Endpoints that start, follow and cancel training jobs."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.admission import AdmissionLimit
from app.api.dependencies import DatasetsDep, HotSwapDep, JobsDep, Name, SettingsDep, json_body
from app.api.jobs.job_schemas import Findings, RetrainJob, RetrainJobs, RetrainRequest, moment
from app.errors import Overloaded, TrainerMissing, Unauthorized, UnsupportedContentType
from app.retraining.jobs import JobService
from app.serving.hot_swap import HotSwap
from app.web import uploads
from app.web.auth import SeesPhotos, labeller, reader, trainer
from app.web.problem_details import documented
from catdog.datasets.errors import DatasetNotFound
from catdog.errors import DatabaseUnavailable, DatasetError
from catdog.jobs.errors import JobEnded, JobNotFound, KeyReused, QueueFull
from catdog.jobs.job import Event, Job, log_file

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, OSError)
EVENTS = "text/event-stream"
LOG_BYTES = 2**20
WATCH_RETRY_SECONDS = 10
LARGEST_EVENT_ID = 2**31 - 1  # of PostgreSQL's INTEGER
LONG_DIGITS = 20  # every number that long is larger; Python refuses to parse thousands of digits

router = APIRouter(prefix="/retrain", tags=["retrain"])


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(trainer)],
    responses=documented(
        *ANY,
        *uploads.ERRORS,
        UnsupportedContentType,
        DatasetNotFound,
        DatasetError,
        KeyReused,
        QueueFull,
        TrainerMissing,
    ),
    openapi_extra=json_body(RetrainRequest),
)
async def retrain(
    request: Request,
    response: Response,
    retraining: JobsDep,
    collecting: DatasetsDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> RetrainJob:
    """Queue a training on a data set. The same `Idempotency-Key` with the same request gives the same job again."""
    asked = await uploads.read_json(request, RetrainRequest)
    await collecting.check_trainable(asked.dataset)
    job = await retraining.accept(asked.model_dump(exclude_none=True), idempotency_key)
    response.headers["Location"] = f"/retrain/{job.id}"
    return RetrainJob.of(job, sees_photos=True)


@router.get("", dependencies=[Depends(reader)], responses=documented(*ANY))
async def jobs(retraining: JobsDep, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> RetrainJobs:
    """The newest jobs, newest first, without findings."""
    newest = await retraining.ask(lambda jobs: jobs.newest(limit))
    return RetrainJobs(jobs=[RetrainJob.of(job).model_copy(update={"findings": None}) for job in newest])


async def asked_for(job: Name, retraining: JobsDep) -> Job:
    """The job with this id; `latest` is the newest."""
    return await retraining.get(job)


TheJob = Annotated[Job, Depends(asked_for)]


@router.get("/{job}", dependencies=[Depends(reader)], responses=documented(*ANY, JobNotFound))
async def job(job: TheJob, sees_photos: SeesPhotos) -> RetrainJob:
    """Progress and result of a job; `latest` is the newest.

    The findings name photos only for a request with the admin key or the role `label`.
    """
    return RetrainJob.of(job, sees_photos)


@router.get("/{job}/findings", dependencies=[Depends(labeller)], responses=documented(*ANY, JobNotFound))
async def findings(job: TheJob) -> Findings:
    """Problems found in the pictures of a job, with the names of the files."""
    return Findings(findings=job.findings)


@router.delete(
    "/{job}", status_code=202, dependencies=[Depends(trainer)], responses=documented(*ANY, JobNotFound, JobEnded)
)
async def cancel(job: TheJob, retraining: JobsDep) -> RetrainJob:
    """Cancel a job: a running one is asked to end, and killed after 10 seconds."""
    return RetrainJob.of(await retraining.ask(lambda jobs: jobs.cancel(job.id)), sees_photos=True)


@router.get(
    "/{job}/events",
    dependencies=[Depends(reader)],
    response_class=StreamingResponse,
    responses={200: {"content": {EVENTS: {"schema": {"type": "string"}}}}, **documented(*ANY, JobNotFound, Overloaded)},
)
async def events(
    job: TheJob,
    retraining: JobsDep,
    hot_swap: HotSwapDep,
    last_event_id: Annotated[str, Header(pattern="^[0-9]*$")] = "",
) -> StreamingResponse:
    """Events of a job, as server-sent events; `Last-Event-ID` continues after that event.

    The stream ends when the job has ended and this service serves a version that it promoted.
    """
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    happening = _stream(retraining, hot_swap, job.id, _event_id(last_event_id))
    return _Watched(retraining.watchers, happening, media_type=EVENTS, headers=headers)


@router.get(
    "/{job}/log",
    dependencies=[Depends(trainer)],
    response_class=PlainTextResponse,
    responses=documented(*ANY, JobNotFound),
)
async def log(job: TheJob, settings: SettingsDep) -> Response:
    """What the trainer has printed so far; of a long log the last MiB."""
    text = await to_thread.run_sync(_end_of, log_file(settings.data_dir, job.id))
    return Response(text, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


def _end_of(file: Path) -> bytes:
    """At most the last LOG_BYTES, which include the reason of a failure."""
    if not file.exists():
        return b""
    with file.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - LOG_BYTES))
        return opened.read(LOG_BYTES)


class _Watched(StreamingResponse):
    """Holds one place among the watchers from before its first byte until its end; Overloaded if none is free."""

    def __init__(self, watchers: AdmissionLimit, content: AsyncIterator[str], **options: Any) -> None:
        super().__init__(content, **options)
        self._watchers = watchers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._watchers.admitted(retry_seconds=WATCH_RETRY_SECONDS):
            await super().__call__(scope, receive, send)


def _event_id(digits: str) -> int:
    """The number, at most the largest id that an event can have."""
    significant = digits.lstrip("0")
    return min(int(significant or 0), LARGEST_EVENT_ID) if len(significant) < LONG_DIGITS else LARGEST_EVENT_ID


async def _stream(retraining: JobService, hot_swap: HotSwap, job: str, after: int) -> AsyncIterator[str]:
    async for happened in retraining.watch(job, after):
        yield "".join(map(_as_text, happened)) or ": nothing new\n\n"  # a comment, which keeps proxies from closing
    await hot_swap.catch_up_together()


def _rounded(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with durations rounded to a tenth of a second."""
    return {
        name: round(value, 1) if isinstance(value, float) and "seconds" in name else value
        for name, value in data.items()
    }


def _as_text(event: Event) -> str:
    data = json.dumps({"at": moment(event.at).isoformat(timespec="milliseconds"), **_rounded(event.data)})
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"
