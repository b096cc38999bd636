"""Many callers of one engine: order, batches, and the answer to each."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from app.serving import batcher
from app.serving.batcher import Batcher
from app.serving.os_tuning import lower_priority
from app.serving.prediction import Prediction
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.engines.engine import Engine
from tests.app.service import Service
from tests.app.watching import LONG, WatchedDecoding, WatchedEngine, ask, behind_one, happens, photo, predicting


def probabilities(predictions: Iterable[Prediction]) -> list[float]:
    return [prediction.probabilities["cat"] for prediction in predictions]


def test_a_single_photo_is_inferred_at_once_and_photos_that_arrive_during_it_together(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, max_delay_milliseconds=LONG)

    async def scenario() -> None:
        asking = await behind_one(predictor, engine, range(1, 12))
        await happens(lambda: len(decoding.ended) == 12)
        engine.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    assert engine.sizes == [1, 8, 3]
    assert sorted(engine.seen) == list(range(12))
    assert predictor.queue.recent.batch_sizes == {"1": 1, "3": 1, "8": 1}


def test_raw_pixels_go_with_photos_that_were_decoded(service: Service, real: Engine, decoding: WatchedDecoding) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, max_delay_milliseconds=LONG)
    pixels = np.full((224, 224, 3), 7, np.uint8)

    async def scenario() -> None:
        asking = await behind_one(predictor, engine, [1, 2])
        raw = asyncio.create_task(predictor.predict_each([pixels]))
        await happens(lambda: len(decoding.ended) == 3)
        engine.let_go.set()
        await asyncio.gather(raw, *asking)

    asyncio.run(scenario())

    assert engine.sizes == [1, 3]
    assert sorted(engine.seen) == [0, 1, 2, 7]
    assert len(decoding.ended) == 3


def test_no_batch_is_larger_than_the_settings_allow(service: Service, real: Engine, decoding: WatchedDecoding) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, max_batch_size=3, max_delay_milliseconds=LONG)

    async def scenario() -> None:
        asking = await behind_one(predictor, engine, range(1, 8))
        await happens(lambda: len(decoding.ended) == 8)
        engine.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    assert engine.sizes == [1, 3, 3, 1]


@pytest.mark.parametrize(("streams", "largest_batch"), [(1, 1), (1, 8), (2, 1), (2, 8)])
def test_each_of_many_callers_gets_the_answer_to_its_own_photo(
    service: Service, real: Engine, streams: int, largest_batch: int
) -> None:
    shades = list(range(0, 120, 3))  # the network distinguishes them
    predictor = predicting(service, WatchedEngine(real, streams, largest_batch))

    async def together() -> list[Prediction]:
        return await asyncio.gather(*await ask(predictor, shades))

    async def one_by_one() -> list[Prediction]:
        return [await predictor.predict(photo(shade)) for shade in shades]

    expected = probabilities(asyncio.run(one_by_one()))

    assert len(set(expected)) == 40
    assert probabilities(asyncio.run(together())) == pytest.approx(expected, abs=1e-7)


def test_photos_for_two_champions_are_never_in_one_batch(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    old, new = WatchedEngine(real, largest_batch=8), WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, old, decoders=1, max_delay_milliseconds=LONG)

    async def scenario() -> None:
        asking = await behind_one(predictor, old, [1, 2, 3])
        predictor.swap(replace(predictor.champion, engine=new))
        asking += await ask(predictor, [4, 5, 6])
        await happens(lambda: len(decoding.ended) == 7)
        old.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    assert [call.shades for call in old.calls] == [(0,), (1, 2, 3)]
    assert [call.shades for call in new.calls] == [(4, 5, 6)]


def test_a_batch_waits_for_a_photo_that_is_being_decoded(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, decoders=2, max_delay_milliseconds=LONG)
    decoding.holds = {photo(2)}

    async def scenario() -> None:
        asking = await ask(predictor, [2, 1])
        await happens(lambda: photo(1) in decoding.ended and photo(2) in decoding.begun)
        decoding.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    assert [call.shades for call in engine.calls] == [(1, 2)]


def test_a_batch_goes_without_a_photo_that_takes_too_long_to_decode(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, decoders=2, max_delay_milliseconds=1)
    decoding.holds = {photo(2)}

    async def scenario() -> None:
        slow, quick = await ask(predictor, [2, 1])
        await quick
        assert not slow.done()
        decoding.let_go.set()
        await slow

    asyncio.run(scenario())

    assert [call.shades for call in engine.calls] == [(1,), (2,)]


def test_a_full_batch_and_an_engine_of_single_photos_do_not_wait(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    """Otherwise they would wait for as long as a photo is held."""
    decoding.holds = {photo(9)}
    for engine, shades in ((WatchedEngine(real), [1]), (WatchedEngine(real, largest_batch=2), [1, 2])):
        predictor = predicting(service, engine, decoders=3, max_delay_milliseconds=LONG)
        decoding.let_go.clear()

        async def scenario(predictor: Predictor = predictor, shades: list[int] = shades) -> None:
            held = await ask(predictor, [9])
            await asyncio.gather(*await ask(predictor, shades))
            decoding.let_go.set()
            await asyncio.gather(*held)

        asyncio.run(scenario())
        assert engine.sizes == [len(shades), 1]


def test_as_many_inferences_run_at_once_as_there_are_streams(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, streams=2)
    predictor = predicting(service, engine, streams=8)

    async def scenario() -> None:
        asking = await behind_one(predictor, engine, range(1, 12))
        await happens(lambda: len(engine.calls) == 2 and len(decoding.ended) == 12)
        engine.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    assert max(call.at_once for call in engine.calls) == 2


def test_a_photo_has_the_engine_for_itself_unless_others_came_just_now(
    service: Service, real: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = WatchedEngine(real, streams=2)
    predictor = predicting(service, engine)

    async def scenario() -> None:
        await predictor.predict(photo(0))
        await asyncio.gather(*await ask(predictor, [1, 2]))
        await predictor.predict(photo(3))
        monkeypatch.setattr(batcher, "CALM_SECONDS", 0.0)
        await predictor.predict(photo(4))

    asyncio.run(scenario())

    shared = {call.shades: call.shared for call in engine.calls}
    assert shared[(0,)] is shared[(4,)] is False
    assert engine.calls[1].shared is shared[(3,)] is True


def test_a_queue_smaller_than_a_batch_takes_the_batch_all_the_same(service: Service, real: Engine) -> None:
    predictor = predicting(service, WatchedEngine(real, largest_batch=64), queue_items=1)

    answers = asyncio.run(predictor.predict_each([photo(shade) for shade in range(5)]))

    assert [type(answer) for answer in answers] == [Prediction] * 5


def test_waiting_is_measured_from_the_beginning(service: Service, real: Engine, decoding: WatchedDecoding) -> None:
    """The wait for a decoder counts too."""
    predictor = predicting(service, WatchedEngine(real), decoders=1)
    decoding.holds = {photo(0)}
    held_seconds = 0.1

    async def scenario() -> None:
        asking = await ask(predictor, [0, 1])
        begun = perf_counter()
        await happens(lambda: decoding.begun == [photo(0)] and perf_counter() - begun >= held_seconds)
        decoding.let_go.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())

    recent = predictor.queue.recent
    assert recent.wait_seconds is not None
    assert recent.photos == 2
    assert recent.wait_seconds.p99 > 0.9 * held_seconds, "the second photo waited for the decoder of the first"


def test_the_longer_the_queue_the_later_a_client_is_to_come_back() -> None:
    batching = Batcher(Settings.model_construct(None))
    assert batching.seconds_to_drain == 1

    batching.measurements.seconds_each = 2.2
    with batching.admission.admitted(3):
        assert batching.seconds_to_drain == 7


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_a_thread_that_steps_aside_never_gains_by_it() -> None:
    """Raising a priority requires a privilege that services seldom have."""

    def after(*steps: int) -> int:
        for nice in steps:
            lower_priority(nice)
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with ThreadPoolExecutor(1) as own_thread:
        assert own_thread.submit(after, 19, 5).result() == 19
