"""Connects to a Ray cluster, on which classifications and trainings compute on several machines.

Decision 24 has the reasons. Ray is imported only by what needs a cluster.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.util import find_spec
from typing import Any, Final

from catdog import faults
from catdog.errors import CatdogError

AUTHENTICATION: Final = "RAY_AUTH_MODE"
AUTOMATIC: Final = "auto"  # the address of the cluster that this machine is a node of
LOOK_SECONDS: Final = 10.0
CAUSED: Final = "\n\nThe above exception was the direct cause"  # as Python's traces have it


class ClusterError(CatdogError):
    """Something that a Ray cluster can't run."""


def check_usable() -> None:
    """Raise ClusterError unless Ray is installed here and a token is required."""
    invalidate_caches()
    if find_spec("ray") is None:
        missing = ModuleNotFoundError(name="ray")
        raise ClusterError(faults.missing_library(missing) or "this needs Ray")
    if os.environ.get(AUTHENTICATION, "").lower() != "token":
        raise ClusterError(
            f"set {AUTHENTICATION}=token here and for every `ray start`: without it, anyone who reaches a port of the"
            " cluster runs programs on it"
        )


def check_there(address: str) -> None:
    """Raise ClusterError if nothing is at the address, where Ray itself would try for five minutes."""
    host, _, port = address.rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), LOOK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"there is no Ray cluster at {address} ({error}); start one, or correct it") from error


@contextmanager
def connected(address: str, after: str) -> Iterator[None]:
    """Use Ray Data on the cluster. ClusterError, which ends with what happens `after` an error.

    This machine must be a node of the cluster. Ray's handler of SIGTERM is replaced by the one before.
    """
    check_usable()
    check_there(address)
    import ray
    from ray.data import DataContext

    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
        signal.signal(signal.SIGTERM, handler)
        DataContext.get_current().enable_progress_bars = sys.stderr.isatty()
        for place in logging.getLogger("ray.data").handlers:
            if place.name == "console":  # it prints plans and traces, which are in Ray's log files as well
                place.setLevel(logging.CRITICAL)
        yield
    except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f"Ray at {address}: {_reason(str(error)) or type(error).__name__}; {after}") from error
    finally:
        ray.shutdown()


def _reason(text: str) -> str:
    """The last line of an error of Ray; of one in a task of ours, which has its trace first, that of the trace."""
    last = text.partition(CAUSED)[0].strip().rpartition("\n")[2]
    return last.removeprefix(f"{ClusterError.__module__}.{ClusterError.__name__}: ")


def shape() -> tuple[int, int]:
    """The cores of an actor, which are those of the smallest node, and how many such actors fit."""
    import ray

    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    cores = min((count for count in nodes if count), default=0)
    if not cores:
        raise ClusterError("no node of the cluster offers a core")
    return cores, sum(count // cores for count in nodes)


def actors(cores: int, count: int) -> dict[str, Any]:
    """Options of `Dataset.map_batches`: whole blocks for actors, at first `count` of them with that many cores each.

    An actor has two blocks at a time, so that no core waits for the last photos of one.
    """
    from ray.data import ActorPoolStrategy

    pool = ActorPoolStrategy(
        min_size=1,
        max_size=count,
        initial_size=count,
        max_concurrent_calls_per_actor=2,
        enable_true_multi_threading=True,
    )
    return {"batch_size": None, "batch_format": "pyarrow", "num_cpus": cores, "compute": pool}
