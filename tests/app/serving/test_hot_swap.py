"""Hot swaps of versions under constant requests."""

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.retraining import jobs
from app.serving import decoding, hot_swap, loader, os_tuning
from app.serving.hot_swap import HotSwap
from app.serving.loader import load, read
from app.settings import Settings
from app.telemetry.instruments import total
from catdog import images
from catdog.engines import openvino
from catdog.network.architecture import Network
from catdog.system import resources
from catdog.versions import golden
from catdog.versions.manifest import Golden
from catdog.versions.store import Store
from catdog.versions.version import Version
from tests.app.service import (
    ADMIN,
    TEMPERATURE,
    TINY,
    HeldEngine,
    Service,
    probabilities,
    publish,
    random_arrays,
    serving,
)
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

CLIENTS = 3
TAKEOVERS = 20
WRONG = Golden(pictures=golden.fingerprint(), probabilities=((1.0, 0.0), (0.0, 1.0)) * 2)


@contextmanager
def ready(models_dir: Path) -> Iterator[Service]:
    with serving(models_dir) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def promote(service: Service, version: int) -> httpx.Response:
    return service.client.post(f"/models/{version}/promote", headers=ADMIN)


def roll_back(service: Service) -> httpx.Response:
    return service.client.post("/rollback", headers=ADMIN)


def serves(service: Service) -> int:
    version: int = service.client.get("/model").json()["version"]
    return version


def problem(service: Service) -> str | None:
    told: str | None = service.client.get("/health/ready").json()["problem"]
    return told


def right_answer(models_dir: Path, version: int, photo: bytes) -> list[float]:
    """The answer of a version without other load."""
    settings, opened = Settings.model_construct(), Store(models_dir).open(version)
    return probabilities(load(opened, read(opened, settings), settings), photo)


def test_while_versions_take_over_every_answer_is_that_of_its_version(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)  # with the same graph as the first
    publish(tmp_path, seed=9)
    ended = threading.Event()
    answers: list[httpx.Response] = []

    def ask_until_the_end(address: httpx.URL) -> None:
        with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS) as client:
            while not ended.is_set():
                answers.append(client.post("/predict", content=jpeg))

    with ready(tmp_path) as service, ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(ask_until_the_end, service.client.base_url) for _ in range(CLIENTS)]
        try:
            for place in range(TAKEOVERS):
                moved = roll_back(service) if place % 4 == 3 else promote(service, 2 + place % 2)
                version = moved.raise_for_status().json()["version"]
                assert service.client.post("/predict", content=jpeg).json()["model_version"] == version
        finally:
            ended.set()
        for each in asking:
            each.result()

    expected = {version: right_answer(tmp_path, version, jpeg) for version in (1, 2, 3)}
    assert len(answers) > TAKEOVERS
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["model_version"] for answer in answers} >= {2, 3}
    for answer in map(httpx.Response.json, answers):
        found = list(answer["probabilities"].values())
        assert found == pytest.approx(expected[answer["model_version"]], abs=1e-6)


def _one(client: httpx.Client, photo: bytes) -> list[int]:
    return [client.post("/predict", files={"file": photo}).json()["model_version"]]


def _batch(client: httpx.Client, photo: bytes) -> list[int]:
    results = client.post("/predict/batch", files=[("file", photo)] * 8).json()["results"]
    return [result["prediction"]["model_version"] for result in results]


@pytest.mark.parametrize("ask_for_versions", [_one, _batch])
def test_what_runs_ends_on_the_version_that_it_began_with(
    tmp_path: Path, jpeg: bytes, ask_for_versions: Callable[[httpx.Client, bytes], list[int]]
) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service, ThreadPoolExecutor(1) as elsewhere:
        old = service.predictor.champion
        engine = HeldEngine(old.engine)
        service.predictor.swap(replace(old, engine=engine))
        versions = elsewhere.submit(ask_for_versions, service.client, jpeg)
        assert engine.held.wait(PATIENCE_SECONDS)

        promote(service, 2).raise_for_status()
        engine.let_go.set()

        assert set(versions.result()) == {1}
        assert _one(service.client, jpeg) == [2]


def test_a_version_with_its_golden_answers_takes_over(tmp_path: Path) -> None:
    publish(tmp_path)
    right = golden.record(Network(TINY, random_arrays(TINY, 8, 8)), TEMPERATURE)
    publish(tmp_path, seed=8, golden=right)
    with ready(tmp_path) as service:
        assert promote(service, 2).json()["version"] == 2


def test_a_version_whose_golden_answers_do_not_come_out_is_refused_and_the_old_serves(
    tmp_path: Path, jpeg: bytes
) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8, golden=WRONG)
    with ready(tmp_path) as service:
        refused = promote(service, 2)

        check(refused, "broken-version", 409)
        assert "version 2 can't be used: its answers are not those" in refused.json()["detail"]
        assert Store(tmp_path).champion() == 1
        assert _one(service.client, jpeg) == [1]
        assert problem(service) is None


def test_a_damaged_candidate_leaves_the_store_untouched(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    Store(tmp_path).open(2).weights_path.write_bytes(b"not what it was")
    with ready(tmp_path) as service:
        check(promote(service, 2), "broken-version", 409)
        check(promote(service, 3), "version-not-found", 404)
        assert not (tmp_path / "champion").exists()
        assert serves(service) == 1


def test_a_champion_that_cannot_serve_is_reported_and_the_old_one_keeps_serving(
    tmp_path: Path, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8, golden=WRONG)
    publish(tmp_path, seed=9)
    with ready(tmp_path) as service:
        caplog.clear()
        Store(tmp_path).promote(2)

        until(lambda: problem(service) is not None)
        assert "version 2 can't be used" in str(problem(service))
        assert _one(service.client, jpeg) == [1]

        Store(tmp_path).promote(3)

        until(lambda: serves(service) == 3)
        assert problem(service) is None
    (why,) = [record for record in caplog.records if record.name.startswith("app.")]
    assert "keeps serving version 1: version 2 can't be used: " in why.getMessage()


def test_what_could_not_be_loaded_is_tried_again_silently_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Semaphore(0)
    load_arrays = Version.load

    def counted(version: Version, *names: Any) -> object:
        if version.number == 2:
            tried.release()
        return load_arrays(version, *names)

    publish(tmp_path)
    publish(tmp_path, seed=8)
    weights_path = Store(tmp_path).open(2).weights_path
    weights = weights_path.read_bytes()
    monkeypatch.setattr(hot_swap, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(Version, "load", counted)
    with ready(tmp_path) as service:
        Store(tmp_path).promote(2)
        weights_path.write_bytes(b"not what it was")
        until(lambda: problem(service) is not None)
        for _ in range(3):
            assert tried.acquire(timeout=PATIENCE_SECONDS)

        weights_path.write_bytes(weights)

        until(lambda: serves(service) == 2)
    assert sum("keeps serving version 1" in record.getMessage() for record in caplog.records) == 1


def test_a_moved_pointer_is_followed_within_two_seconds(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service:
        Store(tmp_path).promote(2)
        moved = monotonic()

        until(lambda: serves(service) == 2)

        assert monotonic() - moved < 2


def test_the_service_answers_while_a_version_is_loaded(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, let_go, load_arrays = threading.Event(), threading.Event(), Version.load

    def slowly(version: Version, *names: Any) -> object:
        held.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return load_arrays(version, *names)

    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service, ThreadPoolExecutor(2) as elsewhere:
        monkeypatch.setattr(Version, "load", slowly)
        promoted = elsewhere.submit(promote, service, 2)
        assert held.wait(PATIENCE_SECONDS)
        rolled_back = elsewhere.submit(roll_back, service)

        assert _one(service.client, jpeg) == [1]
        assert Store(tmp_path).champion() == 1
        assert not promoted.done()

        let_go.set()
        assert promoted.result().json()["version"] == 2
        assert rolled_back.result().json()["version"] == 1, "one after the other"


def test_a_service_without_a_model_takes_one_that_is_promoted(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    Store(tmp_path).open(1).weights_path.unlink()
    with serving(tmp_path) as service:
        until(lambda: "can't be used" in service.client.get("/health/ready").text)

        promote(service, 2).raise_for_status()

        assert service.client.get("/health/ready").json() == {"ready": True, "model_version": 2, "problem": None}


def test_a_rollback_serves_the_version_before(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service:
        check(roll_back(service), "no-earlier-champion", 409)
        promote(service, 2).raise_for_status()

        assert roll_back(service).json()["version"] == 1
        assert Store(tmp_path).champion() == serves(service) == 1


def test_a_rollback_to_what_cannot_serve_leaves_the_champion(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8, golden=WRONG)
    publish(tmp_path, seed=9)
    for version in (2, 3):
        Store(tmp_path).promote(version)
    with ready(tmp_path) as service:
        check(roll_back(service), "broken-version", 409)

        assert Store(tmp_path).champion() == serves(service) == 3


def test_a_new_head_on_the_same_backbone_takes_over_without_a_new_graph(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    publish(tmp_path, ("cat", "dog", "fox"), head_seed=8)
    publish(tmp_path, seed=9)
    expected = right_answer(tmp_path, 2, jpeg)
    with ready(tmp_path) as service:
        monkeypatch.setattr(openvino, "build", None)  # compiling a graph fails from now on

        promote(service, 2).raise_for_status()
        answer = service.client.post("/predict", content=jpeg).json()
        refused = promote(service, 3)

        assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
        check(refused, "internal-error", 500)
        assert Store(tmp_path).champion() == serves(service) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_inference_has_priority_over_decoding_and_decoding_over_reading_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jpeg: bytes
) -> None:
    """A graph is compiled at normal priority, because the threads that this starts do the inferences later."""
    publish(tmp_path)
    publish(tmp_path, seed=8)
    priorities: dict[str, int] = {}

    def watch(place: object, name: str) -> None:
        watched = getattr(place, name)

        def watching(*arguments: Any, **named: Any) -> Any:
            priorities[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return watched(*arguments, **named)

        monkeypatch.setattr(place, name, watching)

    watch(loader, "read")
    watch(loader, "load")
    with ready(tmp_path) as service:
        promote(service, 2).raise_for_status()
        watch(images, "decode")
        watch(openvino.OpenVINOEngine, "infer")
        assert _one(service.client, jpeg) == [2]

    normal = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert priorities == {
        "infer": normal,
        "load": normal,
        "decode": max(normal, decoding.NICE),
        "read": max(normal, loader.NICE),
    }


def test_a_rollback_among_heads_of_one_backbone_loads_nothing(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)
    with ready(tmp_path) as service:
        first = service.predictor.champion
        promote(service, 2).raise_for_status()
        second = service.predictor.champion

        service.client.post("/rollback", headers=ADMIN).raise_for_status()
        assert service.predictor.champion is first
        promote(service, 2).raise_for_status()
        assert service.predictor.champion is second


def test_a_head_that_is_still_in_memory_but_damaged_on_the_disk_does_not_serve_again(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)
    with ready(tmp_path) as service:
        promote(service, 2).raise_for_status()
        with Store(tmp_path).open(1).weights_path.open("ab") as file:
            file.write(b"more")

        check(promote(service, 1), "broken-version", 409)
        assert serves(service) == 2


def test_the_memory_of_the_previous_version_is_returned_once_it_is_unused(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service, ThreadPoolExecutor(1) as elsewhere:
        old = service.predictor.champion
        engine = HeldEngine(old.engine)
        gone = weakref.ref(old.engine)
        service.predictor.swap(replace(old, engine=engine))
        del old
        running = elsewhere.submit(_one, service.client, jpeg)
        assert engine.held.wait(PATIENCE_SECONDS)
        promote(service, 2).raise_for_status()
        assert gone() is not None

        engine.let_go.set()
        running.result()
        del engine

        until(lambda: gone() is None)


def test_the_backbone_does_not_stay_in_memory_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays: list[weakref.ref[NDArray[np.float32]]] = []
    load_arrays = Version.load

    def watched(version: Version) -> object:
        loaded = load_arrays(version)
        arrays.extend(weakref.ref(array) for name, array in loaded.items() if name.startswith("block"))
        return loaded

    monkeypatch.setattr(Version, "load", watched)
    publish(tmp_path)
    with ready(tmp_path):
        assert len(arrays) == 26
        until(lambda: all(array() is None for array in arrays))


def test_a_service_that_began_to_load_early_serves_that_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    early = HotSwap(Settings(models_dir=tmp_path, data_dir=tmp_path / "data"))
    early._loader.begin().result()
    monkeypatch.setattr(loader, "load", None)

    asyncio.run(early.catch_up())

    assert early.predictor.champion.manifest.version == 1


def test_an_early_begin_serves_with_one_way_to_infer_first_and_with_both_from_the_next_look_on(tmp_path: Path) -> None:
    publish(tmp_path)
    early = HotSwap(Settings(models_dir=tmp_path, data_dir=tmp_path / "data", streams=2))
    early._loader.begin().result()

    asyncio.run(early.catch_up())
    first = early.predictor.champion
    asyncio.run(early.catch_up())
    then = early.predictor.champion

    assert (first.engine.streams, then.engine.streams) == (1, min(2, resources.usable_cores()))
    assert (total(early.predictor.swaps), then.drift is first.drift) == (0, True)


def test_a_head_that_takes_over_before_the_streams_were_tried_has_them(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)
    early = HotSwap(Settings(models_dir=tmp_path, data_dir=tmp_path / "data", streams=2))
    early._loader.begin().result()

    asyncio.run(early.catch_up())
    promoted = asyncio.run(early.promote(2))

    assert promoted.engine.streams == min(2, resources.usable_cores())


def test_who_waited_while_the_service_began_is_answered_by_what_it_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jpeg: bytes
) -> None:
    async def never(hot_swap: HotSwap) -> None:
        """The first request doesn't wait for the next poll."""

    publish(tmp_path)
    monkeypatch.setattr(HotSwap, "follow", never)

    with serving(tmp_path, loaded_before=True) as service:
        assert service.client.post("/predict", content=jpeg).json()["model_version"] == 1


def test_what_else_a_start_has_to_do_waits_for_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jpeg: bytes
) -> None:
    looks: list[HotSwap] = []
    follow = HotSwap._follow

    def watched(followed: HotSwap, is_urgent: bool = False) -> None:
        looks.append(followed)
        follow(followed, is_urgent)

    publish(tmp_path)
    monkeypatch.setattr(hot_swap, "POLL_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(jobs, "SUPERVISE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(HotSwap, "_follow", watched)

    with serving(tmp_path, loaded_before=True) as service:
        service.client.post("/predict", content=jpeg).raise_for_status()
        mine = [each for each in looks if each is service.app.state.hot_swap]  # other tests' services look as well
        assert (len(mine), service.app.state.database._database) == (1, None)


def test_what_became_champion_after_an_early_begin_is_loaded_nevertheless(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    early = HotSwap(Settings(models_dir=tmp_path, data_dir=tmp_path / "data"))
    early._loader.begin().result()
    Store(tmp_path).promote(2)

    asyncio.run(early.catch_up())

    assert early.predictor.champion.manifest.version == 2


def test_an_early_load_that_fails_is_reported_once_the_service_runs(tmp_path: Path) -> None:
    early = HotSwap(Settings(models_dir=tmp_path, data_dir=tmp_path / "data"))
    early._loader.begin()

    asyncio.run(early.catch_up())

    assert early.predictor.serving is None
    assert "no version is in service" in str(early.predictor.problem)


def test_what_a_load_took_that_failed_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = threading.Semaphore(0)
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service:
        until(lambda: service.app.state.hot_swap._memory.is_given_back)
        monkeypatch.setattr(os_tuning, "return_memory", lambda _: given_back.release())
        weights_path = Store(tmp_path).open(2).weights_path
        weights_path.write_bytes(b"not what it was")

        assert promote(service, 2).status_code == 409

        assert given_back.acquire(timeout=PATIENCE_SECONDS)


def test_an_abandoned_step_ends_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example if the client of a training's event stream disconnects while the version is loaded."""
    publish(tmp_path)
    following = HotSwap(Settings.model_construct(models_dir=tmp_path, data_dir=tmp_path / "data"))
    begun, go_on = threading.Semaphore(0), threading.Event()
    under_way: list[int] = []
    most: list[int] = []

    def held() -> None:
        under_way.append(1)
        most.append(len(under_way))
        begun.release()
        assert go_on.wait(PATIENCE_SECONDS)
        under_way.pop()

    monkeypatch.setattr(following, "_follow", held)

    async def leave_and_come_again() -> None:
        loop = asyncio.get_running_loop()
        left = asyncio.create_task(following.catch_up())
        await loop.run_in_executor(None, begun.acquire)
        left.cancel()
        await asyncio.wait([left])
        coming = asyncio.create_task(following.catch_up())
        await loop.run_in_executor(None, lambda: begun.acquire(timeout=0.2))  # acquired now would be too early
        go_on.set()
        await coming

    asyncio.run(leave_and_come_again())

    assert most == [1, 1]
