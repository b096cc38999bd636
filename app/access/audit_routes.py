"""The endpoint that reads the audit log."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse

from app.access.audit_schemas import AuditEntries, AuditEntry
from app.access.key_routes import DatabaseDep
from app.api.jobs.job_schemas import NO_NUL
from app.api.picture_schemas import LARGEST_ID
from app.errors import Unauthorized
from app.web.auth import admin
from app.web.problem_details import documented
from catdog.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from catdog.audit.log import Entry, Wanted

JSON_LINES = "application/jsonl"
HEADERS = {"Cache-Control": "private, no-store"}

router = APIRouter(tags=["keys"])


@dataclass(frozen=True)
class Conditions:
    """What the entries must fit, from the query."""

    since: Annotated[datetime | None, Query(description="Not older than this; without a time zone it is UTC.")] = None
    until: Annotated[datetime | None, Query(description="Older than this.")] = None
    key: Annotated[str | None, Query(pattern=NO_NUL, description="Name of the key.")] = None
    action: Annotated[str | None, Query(pattern=NO_NUL, description="A part of the action: `promote`.")] = None

    def wanted(self) -> "Wanted":
        from catdog.audit.log import Wanted

        return Wanted(_seconds(self.since), _seconds(self.until), self.key, self.action)


@dataclass(frozen=True)
class Page:
    """Which part of the log, and in which form, from the query."""

    after: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next` of the page before.")] = None
    limit: Annotated[int, Query(ge=1, le=1000)] = 100
    format: Annotated[
        Literal["json", "jsonl"], Query(description="`jsonl` gives all entries that fit, one in a line.")
    ] = "json"


@router.get(
    "/audit",
    dependencies=[Depends(admin)],
    response_model=AuditEntries,
    responses={
        200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}},
        **documented(Unauthorized, RequestValidationError, DatabaseUnavailable, OSError),
    },
)
async def audit(
    database: DatabaseDep, given: Annotated[Conditions, Depends()], page: Annotated[Page, Depends()]
) -> AuditEntries | StreamingResponse:
    """Who changed what, when and from where: the newest entries first."""
    wanted = given.wanted()
    if page.format == "jsonl":
        pages = database.audit.pages(wanted)
        first: list[Entry] = await to_thread.run_sync(next, pages, [])  # before the head is sent, for its errors
        return StreamingResponse(_lines(chain([first], pages)), media_type=JSON_LINES, headers=HEADERS)
    found = await to_thread.run_sync(lambda: database.audit.page(wanted, page.after, page.limit + 1))
    shown = found[: page.limit]
    following = shown[-1].id if len(found) > page.limit else None
    return AuditEntries(entries=[AuditEntry.of(entry) for entry in shown], next=following)


def _lines(pages: "Iterable[list[Entry]]") -> Iterator[str]:
    for page in pages:
        yield "".join(f"{AuditEntry.of(entry).model_dump_json()}\n" for entry in page)


def _seconds(at: datetime | None) -> float | None:
    """Seconds since 1970; a time without a zone is UTC."""
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
