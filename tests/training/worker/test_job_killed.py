"""Jobs under kill -9 at each failpoint of job, publishing and promotion."""

import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.jobs import queue, worker
from catdog.jobs.job import Job, Status
from catdog.jobs.queue import Jobs
from catdog.system import failpoints
from catdog.versions import trials
from tests.jobs import Place
from tests.photos import draw_splits
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.whole  # each kill starts a training

TIMES = 5  # each point is killed at
REQUEST = {"dataset": "pets", "strategy": "head", "promote": "auto"}

processes = get_context("forkserver")  # a new process in milliseconds
processes.set_forkserver_preload(["tests.jobs", "training.evaluation.report", "pytest"])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_splits(tmp_path_factory.mktemp("photos"), 32, 4, 30)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with a version in service and the data set "pets"."""
    folder = tmp_path_factory.mktemp("learned")
    place = Place(folder, Database.of(folder))
    place.learn(photos)
    place.collect(photos, "pets")
    return folder


@pytest.fixture
def folder(tmp_path: Path, learned: Path) -> Path:
    return Path(shutil.copytree(learned, tmp_path / "place"))


def in_a_process(act: Callable[[Place], object], folder: Path, failpoint: str = "") -> int | None:
    """The exit code of a process that works, with short leases, until it is done or reaches the failpoint."""
    process = processes.Process(target=_act, args=(act, folder, failpoint))
    process.start()
    process.join(PATIENCE_SECONDS)
    return process.exitcode


def _act(act: Callable[[Place], object], folder: Path, failpoint: str) -> None:
    os.environ[failpoints.VARIABLE] = failpoint
    queue.LEASE_SECONDS = 1.0  # type: ignore[misc]
    worker.RENEW_SECONDS = 0.2
    act(Place(folder, Database.of(folder)))


def submit(place: Place) -> None:
    place.jobs.submit(REQUEST)


def submit_for_the_shadow(place: Place) -> None:
    place.jobs.submit({**REQUEST, "promote": "shadow"})


def whole_versions(place: Place) -> dict[int, str | None]:
    """The job of every visible version; checks that each is complete, and that the store has nothing else."""
    found = {}
    for number in place.store.versions():
        version = place.store.open(number)
        version.verify()
        version.load()
        assert (version.path / "report" / "evaluation.json").exists()
        found[number] = version.manifest.lineage.job
    seen = {path.name for path in place.store.root.iterdir() if not path.name.startswith(".")}
    assert seen <= {"champion", trials.FILE, *map(str, found)}
    return found


def newest(queue: Jobs) -> Job:
    (job,) = queue.newest(1)
    return job


@pytest.mark.parametrize("failpoint", failpoints.NAMES)
def test_a_job_killed_anywhere_is_run_to_its_end(folder: Path, failpoint: str) -> None:
    place = Place(folder, Database.of(folder))
    for _ in range(TIMES):
        before, champion = whole_versions(place), place.store.champion()

        submitted = in_a_process(submit, folder, failpoint)
        died = submitted if failpoint == "job.submitted" else in_a_process(Place.work, folder, failpoint)
        assert died == -signal.SIGKILL

        job = newest(place.jobs)
        left = whole_versions(place)
        assert before.items() <= left.items()
        assert set(left.values()) - set(before.values()) <= {job.id}
        assert place.store.champion() in (champion, max(left)), "the one before, or the one that is whole"
        if failpoint not in ("promote.replaced", "job.finished"):
            assert place.store.champion() == champion

        if failpoint != "job.finished":
            until(place.jobs.is_waiting)
        assert in_a_process(Place.work, folder) == 0

        done, after = place.jobs.get(job.id), whole_versions(place)
        assert done.status is Status.SUCCEEDED, done.reason
        assert done.version is not None
        assert [number for number, of in after.items() if of == job.id] == [done.version], "published once"
        assert place.store.champion() == done.version
        assert list(place.data_dir.glob("pictures/.incoming-*")) == []


@pytest.mark.parametrize("failpoint", ["publish.renamed", failpoints.OF_TRIALS[0]])
def test_a_job_killed_around_the_begin_of_a_trial_begins_one(folder: Path, failpoint: str) -> None:
    place = Place(folder, Database.of(folder))
    assert in_a_process(submit_for_the_shadow, folder) == 0
    assert in_a_process(Place.work, folder, failpoint) == -signal.SIGKILL
    began = place.store.trials.running()
    until(place.jobs.is_waiting)

    assert in_a_process(Place.work, folder) == 0

    assert newest(place.jobs).status is Status.SUCCEEDED
    assert list(whole_versions(place)) == [1, 2]
    trial = place.store.trials.running()
    assert trial is not None
    assert (trial.version, trial.champion, place.store.champion()) == (2, 1, 1)
    assert began in (None, trial)


def test_a_job_that_kills_every_worker_is_failed_with_what_is_known(folder: Path) -> None:
    place = Place(folder, Database.of(folder))
    job = place.jobs.submit(REQUEST)

    for _ in range(queue.ATTEMPTS):
        until(place.jobs.is_waiting)
        assert in_a_process(Place.work, folder, "job.trained") == -signal.SIGKILL
    until(place.jobs.is_waiting)
    assert in_a_process(Place.work, folder) == 0

    failed = place.jobs.get(job.id)
    assert (failed.status, failed.reason) == (Status.FAILED, f"it was tried 2 times; the last time {queue.SILENT}")
    assert whole_versions(place) == {1: None}
    assert place.store.champion() == 1
