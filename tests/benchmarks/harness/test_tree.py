import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness import tree
from benchmarks.harness.processes import running
from tests.waiting import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

HOLDING = "held = bytearray(100_000_000); held[::4096] = b'1' * len(held[::4096]); print('held', flush=True)"
CHILD = f"{HOLDING}; import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
PARENT = f"import subprocess, sys, signal; subprocess.Popen([sys.executable, '-c', {CHILD!r}]); signal.pause()"


def test_memory_and_time_are_those_of_all_that_a_process_started_and_none_outlives_it(tmp_path: Path) -> None:
    with running([sys.executable, "-c", PARENT], {}, tmp_path) as process:
        until(lambda: "held" in process.log.read_text())
        memory, cpu = process.memory_bytes(), process.cpu_seconds()
        parent, child = tree.members(process.popen.pid)

    assert memory is not None
    assert 100e6 < memory[0] <= memory[1] < 200e6
    assert cpu is not None
    assert cpu >= child.cpu_seconds > 0
    assert child.parent == parent.pid == process.popen.pid
    until(lambda: not tree.members(child.pid))


def test_another_process_that_has_got_the_id_of_one_that_ended_lives_on(tmp_path: Path) -> None:
    with running([sys.executable, "-c", "import signal; signal.pause()"], {}, tmp_path) as process:
        (found,) = tree.members(process.popen.pid)
        tree.kill([replace(found, started=found.started - 1)])

        assert tree.members(found.pid)
        tree.kill([found])
        process.popen.wait()

    assert tree.memory_bytes(found.pid) is None
