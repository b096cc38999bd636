"""Limits a training to some cores and a low priority, so that predictions stay fast."""

import os

from threadpoolctl import threadpool_limits

from catdog.system import resources

NICE = 19  # the processor is the trainer's where nobody else wants it


def default_threads() -> int:
    """Half the cores that this process may use, at least one."""
    return max(1, resources.usable_cores() // 2)


def limit(threads: int) -> None:
    """Keep this process to so many cores, and behind every other process.

    Called from the main thread before others are started: on Linux each inherits both from the one that starts it.
    """
    os.nice(NICE)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    threadpool_limits(threads)  # of libraries that have counted the cores already
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = str(threads)
