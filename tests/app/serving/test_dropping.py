"""Photos that fail, expire or are abandoned cost no inference and don't affect others."""

import asyncio
import logging

import pytest

from app.errors import Expired
from app.serving.prediction import Prediction
from catdog.engines.engine import Engine
from catdog.errors import BrokenImage
from tests.app.service import Service
from tests.app.watching import (
    LONG,
    Call,
    WatchedDecoding,
    WatchedEngine,
    ask,
    behind_one,
    happens,
    in_time,
    photo,
    predicting,
)

BROKEN = photo(1)[:-20]


def test_photos_that_fail_together_are_tried_one_by_one(
    service: Service, real: Engine, decoding: WatchedDecoding, caplog: pytest.LogCaptureFixture
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    engine.fails = lambda call: len(call.shades) > 1 or call.shades == (3,)
    predictor = predicting(service, engine, max_delay_milliseconds=LONG)

    async def scenario() -> list[Prediction | BaseException]:
        asking = await behind_one(predictor, engine, [1, 2, 3, 4])
        await happens(lambda: len(decoding.ended) == 5)
        engine.let_go.set()
        return await asyncio.gather(*asking, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert engine.sizes == [1, 4, 1, 1, 1, 1]
    assert [type(answer) for answer in answers] == [Prediction, Prediction, Prediction, RuntimeError, Prediction]
    (record,) = caplog.records
    assert (record.levelno, "no memory left" in record.getMessage()) == (logging.WARNING, True)


def test_a_photo_whose_client_has_disconnected_is_not_tried_again(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, max_delay_milliseconds=LONG)

    def fail_together_and_hold_the_next(call: Call) -> bool:
        if len(call.shades) == 1:
            return False
        engine.let_go.clear()
        return True

    engine.fails = fail_together_and_hold_the_next

    async def scenario() -> int:
        _, *asking = await behind_one(predictor, engine, [1, 2])
        await happens(lambda: len(decoding.ended) == 3)
        engine.let_go.set()
        await happens(lambda: engine.sizes == [1, 2, 1])
        (tried,) = engine.calls[-1].shades
        leaves = asking[2 - tried]
        leaves.cancel()
        await asyncio.wait([leaves])
        engine.let_go.set()
        await predictor.predict(photo(3))
        return 3 - tried

    left = asyncio.run(scenario())

    assert engine.seen.count(left) == 1, "together with the other alone"
    assert predictor.queue.abandoned == 1


def test_a_broken_image_in_the_middle_affects_no_other(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, max_delay_milliseconds=LONG)

    async def scenario() -> list[Prediction | BaseException]:
        asking = await behind_one(predictor, engine, [1, 2])
        asking.append(asyncio.create_task(predictor.predict(BROKEN)))
        asking += await ask(predictor, [3, 4])
        await happens(lambda: len(decoding.ended) == 6)
        engine.let_go.set()
        return await asyncio.gather(*asking, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert [type(answer) for answer in answers] == [*[Prediction] * 3, BrokenImage, *[Prediction] * 2]
    assert engine.sizes == [1, 4]
    assert predictor.queue.depth == 0


def test_what_has_expired_never_reaches_the_engine(service: Service, real: Engine, decoding: WatchedDecoding) -> None:
    engine = WatchedEngine(real)
    predictor = predicting(service, engine, deadline_seconds=0.05)

    async def scenario() -> list[Prediction | BaseException]:
        engine.let_go.clear()
        while not engine.seen:
            await asyncio.gather(*await ask(predictor, [0]), return_exceptions=True)
        before = predictor.queue.expired
        answers = await asyncio.gather(*await ask(predictor, [1, 2]), return_exceptions=True)
        assert (predictor.queue.depth, predictor.queue.expired) == (0, before + 2), "while the engine is still at it"
        await happens(lambda: {photo(1), photo(2)} <= set(decoding.ended))
        engine.let_go.set()
        await in_time(predictor, 3)
        return answers

    answers = asyncio.run(scenario())

    assert [type(answer) for answer in answers] == [Expired] * 2
    assert set(engine.seen) == {0, 3}


def test_what_expires_before_its_turn_is_not_even_decoded(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    predictor = predicting(service, WatchedEngine(real), deadline_seconds=0.05, decoders=1)
    decoding.holds = {photo(0)}

    async def scenario() -> None:
        while not decoding.begun:
            await asyncio.gather(*await ask(predictor, [0]), return_exceptions=True)
        await asyncio.gather(*await ask(predictor, [1]), return_exceptions=True)
        decoding.let_go.set()
        await in_time(predictor, 2)

    asyncio.run(scenario())

    assert set(decoding.begun) == {photo(0), photo(2)}


def test_a_photo_that_leaves_a_batch_while_it_waits_is_not_inferred(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=8)
    predictor = predicting(service, engine, decoders=3, max_delay_milliseconds=LONG)
    decoding.holds = {photo(2)}

    async def scenario() -> None:
        slow, leaves, stays = await ask(predictor, [2, 1, 3])
        await happens(lambda: {photo(1), photo(3)} <= set(decoding.ended))
        leaves.cancel()
        await asyncio.wait([leaves])
        decoding.let_go.set()
        await asyncio.gather(slow, stays)

    asyncio.run(scenario())

    assert sorted(engine.seen) == [2, 3]


def test_an_abandoned_photo_takes_no_place_in_a_batch(
    service: Service, real: Engine, decoding: WatchedDecoding
) -> None:
    engine = WatchedEngine(real, largest_batch=2)
    predictor = predicting(service, engine, decoders=1, max_delay_milliseconds=LONG)

    async def scenario() -> None:
        first, *asking = await behind_one(predictor, engine, [1, 2, 3, 4])
        await happens(lambda: len(decoding.ended) == 5)
        for leaves in asking[::2]:
            leaves.cancel()
        await asyncio.wait(asking[::2])
        engine.let_go.set()
        await asyncio.gather(first, *asking[1::2])

    asyncio.run(scenario())

    assert [call.shades for call in engine.calls] == [(0,), (2, 4)]
