"""Connections to PostgreSQL with a limit on every wait.

The server's own timeouts don't help if the server itself doesn't run.
"""

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_SECONDS: Final = 5  # for establishing a connection, per address of the server
ANSWER_SECONDS: Final = 8.0  # for a statement, including waiting for other writers
LOOK_SECONDS: Final = 0.1  # between two checks whether to stop waiting

Result = TypeVar("Result")


def engine(url: URL, is_closing: Callable[[], bool]) -> Engine:
    """An engine for that server. When `is_closing` returns true, statements stop waiting."""

    class Connection(_Impatient):
        gives_up = staticmethod(is_closing)

    def connect(dialect: object, record: object, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        return Connection.connect(*arguments, **parameters)

    made = create_engine(
        url, pool_pre_ping=True, pool_timeout=ANSWER_SECONDS, connect_args={"connect_timeout": CONNECT_SECONDS}
    )

    def check_in(connection: object, record: ConnectionPoolEntry) -> None:
        if is_closing():  # the pool has been closed already, and would keep it open
            record.invalidate()

    event.listen(made, "do_connect", connect)
    event.listen(made, "checkin", check_in)
    return made


class _Impatient(psycopg.Connection[Any]):
    gives_up: Callable[[], bool]

    def wait(self, gen: Generator[Any, Any, Result], *arguments: Any, **options: Any) -> Result:
        """Wait for a statement's answer; after too long the connection is closed and OperationalError raised."""
        options["interval"] = LOOK_SECONDS
        return super().wait(self._bounded(gen), **options)

    def _bounded(self, answering: Generator[Any, Any, Result]) -> Generator[Any, Any, Result]:
        until = monotonic() + ANSWER_SECONDS
        try:
            awaited = next(answering)
            while True:
                ready = yield awaited
                if not ready:  # nothing was received within LOOK_SECONDS
                    self._check(until)
                awaited = answering.send(ready)
        except StopIteration as ended:
            result: Result = ended.value
            return result

    def _check(self, until: float) -> None:
        if self.gives_up():
            reason = "the service is stopping and no longer waits for the database"
        elif monotonic() > until:
            reason = f"the server hasn't answered for {ANSWER_SECONDS:g} seconds"
        else:
            return
        self.pgconn.finish()
        raise psycopg.OperationalError(reason)
