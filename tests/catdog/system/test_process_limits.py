import os
import subprocess
import sys

import pytest

from catdog.system import resources
from catdog.system.resources import default_threads

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
