import os
import subprocess
import sys
from pathlib import Path

import pytest

from catdog.system import resources
from catdog.system.resources import default_threads
from tests.catdog.system.test_resources import CORE, LINES, UNLIMITED, Kernel

SHOW = """
import os, sys, threading
from catdog.system.resources import limit_process
limit_process(int(sys.argv[1]))
seen = []
def look():
    seen.append((len(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
look()
thread = threading.Thread(target=look); thread.start(); thread.join()
import numpy, threadpoolctl
numpy.ones((200, 200)) @ numpy.ones((200, 200))
print(*seen, max(pool["num_threads"] for pool in threadpoolctl.threadpool_info()), sep="\\n")
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux, where a thread can be kept to cores")
def test_a_worker_takes_as_many_cores_as_it_may_and_lets_everybody_else_go_first() -> None:
    shown = subprocess.check_output([sys.executable, "-c", SHOW, "1"], encoding="utf-8").splitlines()

    assert shown == ["(1, 19)", "(1, 19)", "1"]


def test_by_default_that_is_half_the_cores_and_at_least_one() -> None:
    assert default_threads() == max(1, resources.usable_cores() // 2)


IDLE = """
import os, sys, threading
from pathlib import Path
from catdog.system import resources
resources.PROC, resources.MOUNT = map(Path, sys.argv[1:])
resources.run_when_idle()
def look():
    print(len(os.sched_getaffinity(0)), os.sched_getscheduler(0) == os.SCHED_IDLE)
thread = threading.Thread(target=look); thread.start(); thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux, whose scheduler has a class for idle cores")
@pytest.mark.parametrize("version", [1, 2])
def test_work_for_idle_cores_takes_all_of_them_but_half_of_a_quota(tmp_path: Path, version: int) -> None:
    kernel = Kernel(tmp_path)

    def shown(quota: object) -> str:
        kernel.says(LINES[version])
        kernel.limits(version, "a/b/c", quota)
        command = [sys.executable, "-c", IDLE, str(kernel.proc), str(kernel.mount)]
        return subprocess.check_output(command, encoding="utf-8").strip()

    cores = len(os.sched_getaffinity(0))

    assert shown(UNLIMITED[version]) == shown(cores * CORE) == f"{cores} True"
    assert shown((cores - 1) * CORE) == f"{max(1, (cores - 1) // 2)} True"
