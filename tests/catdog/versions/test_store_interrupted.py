"""The store under kill -9, a full disk and similar faults, each in a separate real process."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import FrameType
from typing import Any

import pytest

from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.store import Store

# The calls that change what is on the disk.
OPERATIONS = {"open", "write", "flock", "mkdir", "rename", "replace", "unlink", "rmdir"}

processes = get_context("forkserver")  # a new process in milliseconds
processes.set_forkserver_preload(["catdog.versions.store", "pytest"])


@pytest.fixture
def serving(filled: Store) -> Store:
    """A store in which version 2 has replaced version 1 in service."""
    filled.promote(2)
    return filled


def publish_one(store: Store, manifest: Manifest) -> int:
    with store.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        file = WeightsFile.of(draft.weights_path, "float32")
        version = draft.publish(lambda number: manifest.model_copy(update={"version": number, "weights": file}))
        return version.number


def take_every_step(store: Store, manifest: Manifest) -> None:
    version = publish_one(store, manifest)
    store.promote(version)
    store.roll_back()
    store.delete(version)


def before_each_operation(act: Callable[[], object]) -> None:
    def watch(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in OPERATIONS:
            act()

    sys.setprofile(watch)


def die_before(operation: int, store: Store, manifest: Manifest) -> None:
    numbers = count(1)

    def die() -> None:
        if next(numbers) == operation:
            os.kill(os.getpid(), signal.SIGKILL)

    before_each_operation(die)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # fsync only matters for power cuts, and takes most of the time
        take_every_step(store, manifest)


def report_operations(reports: Connection, store: Store, manifest: Manifest) -> None:
    before_each_operation(lambda: reports.send_bytes(b"."))
    while True:
        take_every_step(store, manifest)


def start_a_draft(answers: Connection, store: Store) -> None:
    with store.draft() as draft:
        answers.send(draft.path)
        answers.recv()


def publish_several(together: Any, numbers: Any, store: Store, manifest: Manifest) -> None:
    together.wait()
    for _ in range(5):
        numbers.put(publish_one(store, manifest))


def fail_on_a_full_disk(limit_bytes: int, step: str, store: Store, manifest: Manifest) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    with pytest.raises(OSError, match="File too large"):
        publish_one(store, manifest) if step == "publish" else store.promote(1)


def start(target: Callable[..., None], *arguments: object) -> ForkServerProcess:
    process = processes.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def run(target: Callable[..., None], *arguments: object) -> int | None:
    process = start(target, *arguments)
    process.join()
    return process.exitcode


def assert_whole(store: Store, champion_before: int) -> None:
    """Check that every version is complete, and that the champion is the previous or the newest one."""
    versions = store.versions()
    for version in versions:
        store.open(version).verify()
    assert versions[:4] == (1, 2, 3, 4)
    assert store.champion() in {champion_before, versions[-1]}


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.glob(".*") if path.name not in {".lock", ".last"})


@pytest.mark.whole
def test_kill_9_before_any_operation_leaves_whole_versions_and_a_champion(serving: Store, manifest: Manifest) -> None:
    for operation in count(1):
        champion = serving.champion()
        exitcode = run(die_before, operation, serving, manifest)
        assert_whole(serving, champion)
        if exitcode == 0:
            break
        assert exitcode == -signal.SIGKILL

    assert operation > 40
    assert leftovers(serving) == []


@pytest.mark.parametrize("operations", [1, 10, 40, 90, 160, 250])
def test_kill_9_at_any_moment_leaves_whole_versions_and_a_champion(
    serving: Store, manifest: Manifest, operations: int
) -> None:
    receiver, sender = processes.Pipe(duplex=False)
    process = start(report_operations, sender, serving, manifest)
    sender.close()
    for _ in range(operations):
        receiver.recv_bytes()
    process.kill()
    process.join()

    assert_whole(serving, champion_before=2)
    take_every_step(serving, manifest)
    assert leftovers(serving) == []


def test_a_draft_outlives_all_but_its_process(serving: Store) -> None:
    ours, theirs = processes.Pipe()
    process = start(start_a_draft, theirs, serving)
    theirs.close()
    path = ours.recv()

    with serving.draft():
        assert path.is_dir()
    process.kill()
    process.join()
    with serving.draft():
        assert not path.exists()


def test_processes_that_publish_at_once_get_different_numbers(serving: Store, manifest: Manifest) -> None:
    together, numbers = processes.Barrier(3), processes.SimpleQueue()
    publishers = [start(publish_several, together, numbers, serving, manifest) for _ in range(3)]
    for process in publishers:
        process.join()

    assert [process.exitcode for process in publishers] == [0, 0, 0]
    assert sorted(numbers.get() for _ in range(15)) == list(range(5, 20))
    assert serving.versions() == tuple(range(1, 20))


@pytest.mark.parametrize(
    ("limit_bytes", "step"), [(0, "publish"), (100, "publish"), (0, "promote")], ids=["weights", "manifest", "pointer"]
)
def test_a_full_disk_leaves_nothing_half_written(
    serving: Store, manifest: Manifest, limit_bytes: int, step: str
) -> None:
    assert run(fail_on_a_full_disk, limit_bytes, step, serving, manifest) == 0

    assert serving.versions() == (1, 2, 3, 4)
    assert leftovers(serving) == []
    assert_whole(serving, champion_before=2)
