"""Two processes and their supervisor: deaths, restarts, signals, wrong settings."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from app.processes import supervisor
from benchmarks.harness import tree
from catdog.system import failpoints
from tests.app.process import begin_upload, start
from tests.app.processes.running import PROCESSES, Pair, classify, pair
from tests.app.scraping import Page
from tests.app.service import ADMIN_KEY
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture(scope="module")
def service(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A service whose processes tests may kill and restart."""
    with pair(models_dir, tmp_path_factory.mktemp("data"), CATDOG_LEAVE_SECONDS="0") as service:
        yield service


@contextmanager
def asking(service: Pair, photo: bytes) -> Iterator[list[int | str]]:
    """Two clients that ask all the time, one of them on new connections: the statuses and errors that they get."""
    ended, found = Event(), list[int | str]()

    def ask(lasting: httpx.Client | None) -> None:
        while not ended.is_set():
            try:
                if lasting is None:
                    found.append(httpx.post(f"{service.process.url}/predict", content=photo).status_code)
                else:
                    found.append(lasting.post("/predict", content=photo).status_code)
            except httpx.HTTPError as error:
                found.append(repr(error))

    with service.client() as lasting:
        threads = [Thread(target=ask, args=(client,)) for client in (None, lasting)]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def is_replaced(service: Pair, before: set[int]) -> bool:
    return len(service.pids) == PROCESSES and not service.pids & before


def scrape(service: Pair) -> Page:
    return Page(httpx.get(f"{service.process.url}/metrics").raise_for_status().text)


def test_a_killed_process_is_restarted_its_counts_stay_and_another_one_leads(service: Pair, jpeg: bytes) -> None:
    with service.client_of_each() as clients:
        for client in clients:
            client.post("/predict", content=jpeg).raise_for_status()
    before, counted = service.pids, scrape(service).find("catdog_photos_answered_total")
    assert counted is not None
    killed = min(before)  # the first one leads

    service.kill(killed)
    httpx.post(f"{service.process.url}/predict", content=jpeg).raise_for_status()
    until(lambda: killed not in service.pids and len(service.pids) == PROCESSES)
    with service.client_of_each() as clients:  # both accept connections
        batch = classify(clients[0], jpeg)
        until(lambda: clients[1].get(f"/batches/{batch}").json()["status"] == "succeeded")

    after = scrape(service)
    assert len(service.pids & before) == 1
    assert after.find("catdog_photos_answered_total") == counted + 1
    assert after.find("catdog_ready") == 1


def test_a_signal_of_the_terminal_reaches_the_supervisor_alone_and_their_session_is_one(service: Pair) -> None:
    """Between sessions Linux may share the cores evenly, also with the workers of one of the processes."""
    supervisor = service.process.popen.pid

    assert {os.getpgid(pid) for pid in service.pids} == service.pids
    assert {os.getsid(pid) for pid in service.pids} == {os.getsid(supervisor)}


def test_sighup_restarts_one_process_after_another_without_a_failed_request(service: Pair, jpeg: bytes) -> None:
    before = service.pids

    with asking(service, jpeg) as found:
        service.process.popen.send_signal(signal.SIGHUP)
        until(lambda: is_replaced(service, before))
        until(lambda: len(found) > 100)

    assert set(found) == {200}


def test_when_the_supervisor_is_killed_the_processes_end_and_leave_nothing(service: Pair, jpeg: bytes) -> None:
    """The last test of this service."""
    with service.process.connect() as connection:
        begin_upload(connection, jpeg)
        shared, pids = service.folder, service.pids
        service.process.popen.kill()
        until(lambda: not service.process.takes_connections())

        connection.sendall(jpeg[len(jpeg) // 2 :])
        answer = connection.makefile("rb").read()
        until(lambda: not any(map(is_alive, pids)))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not shared.exists()


def test_sigterm_lets_each_process_finish_its_requests(models_dir: Path, tmp_path: Path, jpeg: bytes) -> None:
    with pair(models_dir, tmp_path, CATDOG_LEAVE_SECONDS="0") as service, service.process.connect() as connection:
        begin_upload(connection, jpeg)
        shared, pids = service.folder, service.pids
        service.process.popen.send_signal(signal.SIGTERM)
        until(lambda: not service.process.takes_connections())

        connection.sendall(jpeg[len(jpeg) // 2 :])
        answer = connection.makefile("rb").read()
        _, log = service.process.popen.communicate(timeout=PATIENCE_SECONDS)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert service.process.popen.returncode == 0
    assert "ERROR" not in log
    assert not shared.exists()
    assert not any(map(is_alive, pids))


def test_a_terminal_that_is_closed_ends_the_service(models_dir: Path, tmp_path: Path) -> None:
    """The system sends SIGHUP then too."""
    script = (
        "import pty, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
        "pty.spawn(sys.argv[1:])"
    )
    terminal = [sys.executable, "-c", script, sys.executable, "-m", "app"]
    settings = {"CATDOG_PROCESSES": "2", "CATDOG_MODELS_DIR": str(models_dir), "CATDOG_ADMIN_KEY": ADMIN_KEY}
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": "0", "CATDOG_LEAVE_SECONDS": "0", **settings}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(terminal, cwd=tmp_path, env=variables, **pipes) as popen:  # type: ignore[call-overload]
        try:
            assert b"serves version 1" in popen.stdout.readline()
            service = [member.pid for member in tree.members(popen.pid) if member.pid != popen.pid]
        finally:
            popen.kill()
    assert service
    until(lambda: not any(map(is_alive, service)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"CATDOG_PROCESSES": "0"}, "CATDOG_PROCESSES=0: write a number of processes from 1 to 256, or auto"),
        ({"CATDOG_DATA_DIR": "/dev/null"}, "the admin key can't be stored in /dev/null/admin.key"),
    ],
)
def test_wrong_settings_end_the_service_at_once_with_one_message(
    tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    popen = start(tmp_path, **{"PORT": "0", "CATDOG_PROCESSES": "2", **wrong})

    _, log = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 2
    assert log.startswith("catdog can't start: ")
    assert said in log
    assert log.count("catdog can't start") == 1
    assert "Traceback" not in log


def test_processes_that_die_at_their_start_end_the_service(models_dir: Path) -> None:
    popen = start(
        models_dir,
        PORT="0",
        CATDOG_PROCESSES="2",
        CATDOG_ADMIN_KEY=ADMIN_KEY,
        CATDOG_LOG_FORMAT="text",
        **{failpoints.VARIABLE: failpoints.OF_PROCESSES[0]},
    )

    _, log = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 1
    assert "3 processes in a row ended before they could serve, the last one with signal SIGKILL" in log


def test_folders_of_killed_services_are_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, young = (tmp_path / f"{supervisor.PREFIX}{name}" for name in ("left", "young"))
    for each in (left, young):
        each.mkdir()
        (each / supervisor.HELD).touch()
    os.utime(left, (0, 0))

    with supervisor.shared_folder() as mine:
        os.utime(mine, (0, 0))
        with supervisor.shared_folder() as another:
            assert mine.is_dir()
            assert young.is_dir()
            assert not left.exists()

    assert not another.exists()
    assert not mine.exists()


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
