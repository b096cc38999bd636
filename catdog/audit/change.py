"""Who changes what, and from where: a context variable brings it to the code that makes the change."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

COMMAND_LINE: Final = "command line"  # instead of the name of a key, which has no spaces
SERVICE: Final = "the service"
WORKER: Final = "the worker"


@dataclass(eq=False, slots=True)
class Change:
    """A change that is being made: the action, such as `POST /rollback`, and who or what does it.

    `key` is the name of the key, empty without one; `status` the HTTP status of the answer if it succeeds. `details`
    hold JSON.
    """

    action: str
    key: str = ""
    key_id: str | None = None
    address: str = ""
    request: str = ""
    status: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_recorded: bool = False


_current: ContextVar[Change | None] = ContextVar("change", default=None)


def begin(change: Change) -> None:
    """Make it the current change of this task or thread, and of the threads that it starts."""
    _current.set(change)


@contextmanager
def changing(change: Change) -> Iterator[None]:
    """Make it the current change inside the block."""
    token = _current.set(change)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Change | None:
    """The change that this task or thread makes; None if it makes none that is audited."""
    return _current.get()


def note(**details: Any) -> None:
    """Add details to the current change, if there is one; None is left out."""
    if change := _current.get():
        change.details |= {name: value for name, value in details.items() if value is not None}
