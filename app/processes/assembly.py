"""Assembles the server of one process and runs it.

Imports take most of the start-up time. So the port opens before the slow ones, and the model loads while they run.
docs/decisions/serving/0010-one-photo-alone-or-several-that-share.md has what each part gains.
"""

import gc
import os
import sys
from contextlib import contextmanager

from app import shutdown

TYPE_CHECKING = False  # typing's own would be one more import before signals are handled
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

    from app.settings import Settings
    from app.siblings import Siblings
    from app.web.server import Server
    from catdog.versions.store import Store

ON_A_GPU = (
    "CATDOG_PROCESSES above 1 needs CATDOG_ENGINE=openvino: on a GPU one process infers the photos of all requests"
    " together"
)
# Modules that their importers can do without: OpenVINO then has no converter, and FastAPI doesn't check for models of
# pydantic 1.
UNUSED = ("openvino.tools.ovc", "pydantic.v1")

SWITCH_SECONDS = 0.0005  # Python's thread switch interval, instead of 0.005: the model loads while modules are imported

WRONG_SETTINGS = 2  # exit status; also if a library is missing


def run(command: "Callable[[], int | None]") -> None:
    """Run a command; if a library is missing, one line says so, and what to do."""
    try:
        sys.exit(command())
    except ModuleNotFoundError as error:
        from catdog.faults import EXTRAS, OURS, missing_library

        if (library := (error.name or "").partition(".")[0]) in OURS:
            raise
        missing = f"serving needs {library}, which isn't installed; run `make serve`"
        sys.stderr.write(f"catdog: {missing_library(error) if library in EXTRAS else missing}\n")
        sys.exit(WRONG_SETTINGS)


def serve(prepare: "Callable[[], tuple[Server, socket]]") -> None:
    """Serve until SIGTERM or Ctrl-C; accepted requests still finish, and the exit status is 0.

    `prepare` opens the socket and assembles the server; wrong settings end the process with one message.
    """
    with shortened_imports():
        server, listener = _prepared(prepare)
    # uvicorn replaces this handler while it runs; when it has drained, it raises the signal again.
    shutdown.handle_signals(shutdown.raise_exit)
    try:
        server.run(sockets=[listener])
    except SystemExit as end:  # from `raise_exit`
        shutdown.exit_now(end.code)


@contextmanager
def shortened_imports() -> "Iterator[None]":
    """Make imports inside the block faster: skip unused modules, and pause garbage collection.

    What is imported inside is exempt from later collections too. Threads switch more often inside.
    """
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None makes its import fail
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # else it searches every installed package for plugins
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(interval)


def _prepared(prepare: "Callable[[], tuple[Server, socket]]") -> "tuple[Server, socket]":
    from app.settings import SettingsError

    try:
        return prepare()
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"catdog can't start: {error}\n")
        sys.exit(WRONG_SETTINGS)


def assembled(settings: "Settings", siblings: "Siblings | None" = None, whole: "Settings | None" = None) -> "Server":
    """The server; with `siblings` of a process with a share of the `whole` settings. SettingsError."""
    from app.serving import engine_selection, os_tuning

    os_tuning.limit_arenas()
    from app.serving.loader import VersionLoader
    from app.settings import SettingsError
    from catdog.versions.store import Store

    settings = engine_selection.settled(settings)
    if siblings is not None and settings.engine == "keras":
        raise SettingsError(ON_A_GPU)
    store = Store(settings.models)
    if store.place.is_remote:
        _fill(store)
    loader = VersionLoader(store, settings)
    loader.begin()  # before the other imports: the model loads in parallel
    if siblings is not None and siblings.folder is not None:
        from app.telemetry import instruments

        instruments.keep_in_files(siblings.folder, siblings.number)
    from app.main import create_app
    from app.serving.hot_swap import HotSwap
    from app.web.server import server

    return server(create_app(settings, HotSwap(settings, loader, siblings), whole, defers=True), settings)


def _fill(store: "Store") -> None:
    """Copy the shipped version into an empty bucket, if it is here, as in the images."""
    from contextlib import suppress
    from pathlib import Path

    from catdog.errors import StoreUnavailable
    from catdog.versions.store import SHIPPED

    if (shipped := Path("models", str(SHIPPED))).is_dir():
        with suppress(StoreUnavailable):  # what follows reports it
            store.adopt(shipped)
