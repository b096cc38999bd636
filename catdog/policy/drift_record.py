"""Records since when photos have drifted, for all processes of a service and across restarts.

Each process counts the answers that it gave itself, and tells what it finds. Drift ends when no process has found any
for ENDS_SECONDS, or when another version is in service.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

from sqlalchemy import Connection

from catdog.database import Database, put_state, state
from catdog.webhooks import outbox
from catdog.webhooks.message import Kind

NAME: Final = "drift"
ENDS_SECONDS: Final = 900.0
REFRESH_SECONDS: Final = 60.0  # between two writes while nothing changes


@dataclass(frozen=True)
class DriftRecord:
    """A drift that lasts; times are seconds since 1970."""

    version: int  # in service
    measures: tuple[str, ...]  # that have drifted
    began_at: float
    seen_at: float  # when a process last found it

    @classmethod
    def read(cls, connection: Connection) -> Self | None:
        """The present drift; None if there is none."""
        known = state(connection, NAME)
        return None if known is None else cls(**{**known, "measures": tuple(known["measures"])})


def tell(database: Database, version: int, measures: Sequence[str], now: float) -> None:
    """Record which measures of the version in service have drifted, as one process finds; often none."""
    with database.reading() as connection:
        known = DriftRecord.read(connection)
    if not _is_news(known, _following(known, version, measures, now)):
        return
    with database.writing() as connection:
        known = DriftRecord.read(connection)  # another process may have told the same
        following = _following(known, version, measures, now)
        put_state(connection, NAME, None if following is None else asdict(following))
        if known is None and following is not None:
            data = {"version": version, "measures": list(following.measures)}
            outbox.record(connection, Kind.DRIFT_BEGAN, data)
        elif known is not None and following is None:
            data = {"version": known.version, "measures": list(known.measures), "began_at": known.began_at}
            outbox.record(connection, Kind.DRIFT_ENDED, data)


def _following(known: DriftRecord | None, version: int, measures: Sequence[str], now: float) -> DriftRecord | None:
    if known is None:
        return DriftRecord(version, tuple(measures), now, now) if measures else None
    if known.version != version:
        return None
    if measures:
        return replace(known, measures=tuple(measures), seen_at=now)
    return None if now - known.seen_at >= ENDS_SECONDS else known


def _is_news(known: DriftRecord | None, following: DriftRecord | None) -> bool:
    if known is None or following is None:
        return known != following
    return known.measures != following.measures or following.seen_at - known.seen_at >= REFRESH_SECONDS
