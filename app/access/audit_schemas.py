"""Response schemas of the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field

from app.api.jobs.job_schemas import moment

if TYPE_CHECKING:
    from catdog.audit.log import Entry


class AuditEntry(BaseModel, frozen=True):
    """One change, or one request that failed to make it."""

    id: int
    at: datetime
    action: str = Field(
        description="Method and address of the request, or what else acted, such as `settings changed`."
    )
    key: str = Field(
        description="Name of the key: `admin key`, `predict key` or that of a named key; empty without a valid key."
        " `the service`, `the worker` and `command line` need none."
    )
    key_id: str | None = Field(description="Id of a named key.")
    address: str = Field(description="Address of the client; empty if no request was the cause.")
    request: str = Field(description="Id of the request, which the client got as X-Request-ID.")
    status: int | None = Field(description="HTTP status of the answer; null if no request was the cause.")
    details: dict[str, Any] = Field(description="What was changed.")

    @classmethod
    def of(cls, entry: "Entry") -> Self:
        return cls(
            id=entry.id,
            at=moment(entry.at),
            action=entry.action,
            key=entry.key,
            key_id=entry.key_id,
            address=entry.address,
            request=entry.request,
            status=entry.status,
            details=entry.details,
        )


class AuditEntries(BaseModel, frozen=True):
    """A part of the audit log, the newest entry first."""

    entries: list[AuditEntry]
    next: int | None = Field(description="For `after` of the next page; null on the last one.")
