"""During a hot swap requests are answered, and memory and graphs are kept only as long as needed."""

import os
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.serving import decoding, loader, os_tuning
from app.serving.loader import load, read
from app.settings import Settings
from catdog import images
from catdog.engines import openvino
from catdog.versions.store import Store
from catdog.versions.version import Version
from tests.app.api.test_queue import ready
from tests.app.service import (
    ADMIN,
    HeldEngine,
    probabilities,
    publish,
)
from tests.app.serving.swaps.test_hot_swap import predicted, promote, roll_back, serves
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

CLIENTS = 3
TAKEOVERS = 20


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


def predicted_batch(client: httpx.Client, photo: bytes) -> list[int]:
    results = client.post("/predict/batch", files=[("file", photo)] * 8).json()["results"]
    return [result["prediction"]["model_version"] for result in results]


@pytest.mark.parametrize("ask_for_versions", [predicted, predicted_batch])
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
        assert predicted(service.client, jpeg) == [2]


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

        assert predicted(service.client, jpeg) == [1]
        assert Store(tmp_path).champion() == 1
        assert not promoted.done()

        let_go.set()
        assert promoted.result().json()["version"] == 2
        assert rolled_back.result().json()["version"] == 1, "one after the other"


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
        assert predicted(service.client, jpeg) == [2]

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


def test_the_memory_of_the_previous_version_is_returned_once_it_is_unused(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path) as service, ThreadPoolExecutor(1) as elsewhere:
        old = service.predictor.champion
        engine = HeldEngine(old.engine)
        gone = weakref.ref(old.engine)
        service.predictor.swap(replace(old, engine=engine))
        del old
        running = elsewhere.submit(predicted, service.client, jpeg)
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
