"""A version that is loaded before the service runs is the one that it serves first."""

import asyncio
import threading
from pathlib import Path

import pytest

from app.retraining import jobs
from app.serving import hot_swap, loader
from app.serving.hot_swap import HotSwap
from app.settings import Settings
from app.telemetry.instruments import total
from catdog.system import resources
from catdog.versions.store import Store
from tests.app.service import (
    publish,
    serving,
)
from tests.waiting import PATIENCE_SECONDS


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


def test_an_abandoned_step_ends_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example if the client of a training's event stream disconnects while the version is loaded."""
    publish(tmp_path)
    following = HotSwap(Settings.model_construct(models_dir=tmp_path, data_dir=tmp_path / "data"))
    begun, go_on = threading.Semaphore(0), threading.Event()
    under_way: list[int] = []
    most: list[int] = []

    def held(is_urgent: bool = False) -> None:
        under_way.append(1)
        most.append(len(under_way))
        begun.release()
        assert go_on.wait(PATIENCE_SECONDS)
        under_way.pop()

    monkeypatch.setattr(following, "_follow", held)

    async def leave_and_come_again() -> None:
        loop = asyncio.get_running_loop()
        left = asyncio.create_task(following.catch_up())
        assert await loop.run_in_executor(None, lambda: begun.acquire(timeout=PATIENCE_SECONDS))
        left.cancel()
        await asyncio.wait([left])
        coming = asyncio.create_task(following.catch_up())
        await loop.run_in_executor(None, lambda: begun.acquire(timeout=0.2))  # acquired now would be too early
        go_on.set()
        await coming

    asyncio.run(leave_and_come_again())

    assert most == [1, 1]
