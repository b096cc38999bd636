"""The cache of answers, for photos that are sent again."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.serving.answer_cache import AnswerCache, Key
from app.serving.prediction import Prediction
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.engines.engine import Output
from tests.app.api.test_queue import ask, queue, ready
from tests.app.service import ADMIN, Service, publish, said
from tests.app.watching import WatchedEngine, photo


def remembering(service: Service, **settings: Any) -> tuple[Predictor, WatchedEngine]:
    champion = service.predictor.champion
    engine = WatchedEngine(champion.engine)
    predictor = Predictor(Settings.model_construct(None, **({"keep_uploads": 0} | settings)))
    predictor.swap(replace(champion, engine=engine))
    return predictor, engine


def ask_for(predictor: Predictor, *shades: int) -> list[Prediction]:
    async def one_by_one() -> list[Prediction]:
        return [await predictor.predict(photo(shade)) for shade in shades]

    return asyncio.run(one_by_one())


def test_a_photo_that_comes_again_is_answered_the_same_without_the_engine(service: Service) -> None:
    predictor, engine = remembering(service, cache_items=8)

    first, other, again = ask_for(predictor, 1, 2, 1)

    assert engine.seen == [1, 2]
    assert said(again.model_dump()) == said(first.model_dump())
    assert len({first.prediction_id, other.prediction_id, again.prediction_id}) == 3
    assert (predictor.queue.answered, predictor.queue.cached, predictor.queue.depth) == (3, 1, 0)


def test_a_batch_is_answered_from_the_cache_as_well(service: Service) -> None:
    predictor, engine = remembering(service, cache_items=8)
    (first,) = ask_for(predictor, 1)

    answers = asyncio.run(predictor.predict_each([photo(1), b"no photo", photo(2)]))

    assert isinstance(answers[0], Prediction)
    assert said(answers[0].model_dump()) == said(first.model_dump())
    assert engine.seen == [1, 2]


def test_another_version_infers_the_photo_again(service: Service) -> None:
    predictor, engine = remembering(service, cache_items=8)
    champion = predictor.champion
    (first,) = ask_for(predictor, 1)

    predictor.swap(replace(champion, manifest=champion.manifest.model_copy(update={"version": 2})))
    (second,) = ask_for(predictor, 1)
    predictor.swap(champion)
    (third,) = ask_for(predictor, 1)

    assert engine.seen == [1, 1]
    assert [each.model_version for each in (first, second, third)] == [1, 2, 1]


def test_the_cache_is_limited_and_drops_the_least_recently_used(service: Service) -> None:
    predictor, engine = remembering(service, cache_items=2)

    ask_for(predictor, 1, 2, 1, 3, 1, 2)

    assert engine.seen == [1, 2, 3, 2]


def test_nothing_is_remembered_unless_the_settings_say_so(service: Service) -> None:
    predictor, engine = remembering(service)

    ask_for(predictor, 1, 1)

    assert engine.seen == [1, 1]
    assert predictor.queue.cached == 0


def test_what_failed_is_not_remembered(service: Service) -> None:
    predictor, engine = remembering(service, cache_items=8)
    engine.fails = lambda _: len(engine.calls) == 1
    with pytest.raises(RuntimeError):
        ask_for(predictor, 1)

    ask_for(predictor, 1, 1)

    assert engine.seen == [1, 1]


def test_one_answer_does_not_keep_its_whole_batch_in_memory() -> None:
    batch = Output(np.zeros((64, 2), np.float32), np.zeros((64, 512), np.float32))
    cache = AnswerCache(1)
    key = Key("0" * 64, 1)

    cache.put(key, Output(batch.logits[:1], batch.features[:1]))

    found = cache.get(key)
    assert found is not None
    assert [array.base for array in found] == [None, None]


def test_a_promotion_is_followed_and_feedback_can_be_given_on_a_cached_answer(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with ready(tmp_path, cache_items=8) as service:
        first, again = ask(service, 1).json(), ask(service, 1).json()
        service.client.post("/models/2/promote", headers=ADMIN).raise_for_status()
        promoted = ask(service, 1).json()
        label = {"prediction_id": again["prediction_id"], "label": "cat"}
        feedback = service.client.post("/feedback", json=label, headers=ADMIN)
        cached = queue(service)["cached"]

    assert said(first) == said(again)
    assert promoted["model_version"] == 2
    assert promoted["probabilities"] != first["probabilities"]
    assert feedback.status_code == 201
    assert cached == 1
