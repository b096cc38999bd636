import sys
from pathlib import Path

import pytest

from benchmarks.harness.processes import BenchmarkError, Process, python, run, running

WAITING = [sys.executable, "-c", "import signal; signal.pause()"]


def interrupted(folder: Path, held: list[Process]) -> None:
    with running(WAITING, {}, folder) as process:
        held.append(process)
        raise KeyboardInterrupt


def test_a_service_is_ended_when_the_measurement_is_interrupted(tmp_path: Path) -> None:
    held: list[Process] = []

    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path, held)

    assert held[0].popen.returncode is not None


def test_a_service_that_ends_by_itself_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]

    with (
        pytest.raises(BenchmarkError, match=r"(?s)a service ended .*no such model"),
        running(command, {}, tmp_path) as process,
    ):
        process.seconds_until(lambda: False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_service_that_died_while_it_was_measured_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('out of memory')"]

    with running(command, {}, tmp_path) as process:
        process.popen.wait()
        with pytest.raises(BenchmarkError, match=r"(?s)a service ended .*out of memory"):
            process.memory_bytes()


def test_a_command_that_fails_is_reported_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"(?s)-m training versions failed.*no version is in service"):
        run(python("training", "versions"), {}, tmp_path)


def test_the_settings_of_whoever_measures_do_not_reach_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_THREADS", "1")
    script = "import os; raise SystemExit('CATDOG_THREADS' in os.environ)"

    run([sys.executable, "-c", script], {}, tmp_path)
