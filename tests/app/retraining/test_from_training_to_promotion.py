"""A training that is asked for over HTTP, its trial on live photos, and its promotion: nothing in between by hand."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.retraining import shadow
from catdog.versions.store import Store
from tests.app.api.test_retrain import ended, waiting
from tests.observers import Recorder
from tests.photos import draw, draw_splits
from tests.waiting import until
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

pytestmark = [pytest.mark.usefixtures("no_https"), pytest.mark.whole]

LIVE = 12  # photos after which the trial ends


def test_a_training_for_the_shadow_is_promoted_by_live_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(shadow, "IDLE_SECONDS", 0.005)
    monkeypatch.setattr(shadow, "RESTS", 1)
    photos = draw_splits(tmp_path / "photos", 48, 6, 30)
    store, config = Store(tmp_path / "models"), Config(backbone="random", width=1 / 32)
    train(Request(config, photos, command=""), store, tmp_path / "data", Recorder())
    with waiting(tmp_path, photos, worker="process", shadow_photos=LIVE) as service:
        client = service.client

        def state() -> Any:
            return client.get("/shadow").raise_for_status().json()

        def answered_by() -> int:
            """Ask with a photo that nobody has sent, cats and dogs in turn; returns the version that answered."""
            number = next(numbers)
            draw(tmp_path / "live.png", ("cat", "dog")[number % 2], seed=50_000 + number)
            answer = client.post("/predict", content=(tmp_path / "live.png").read_bytes()).raise_for_status().json()
            return int(answer["model_version"])

        numbers = count()
        asked = client.post("/retrain", json={"dataset": "pets", "promote": "shadow"}).raise_for_status().json()
        job = ended(service, asked["id"])
        assert (job["status"], job["version"], job["decision"]["promoted"]) == ("succeeded", 2, False), job["reason"]
        until(lambda: service.predictor.shadow.wants(1))
        assert (state()["running"], state()["trial"]["version"], client.get("/model").json()["version"]) == (True, 2, 1)

        for _ in range(LIVE - 1):
            assert answered_by() == 1, "no client sees the candidate"
        until(lambda: state()["trial"]["photos"] == LIVE - 1)
        assert state()["running"]
        answered_by()

        until(lambda: not state()["running"])
        trial = state()["trial"]
        assert (trial["promoted"], trial["photos"]) == (True, LIVE), trial["decision"]
        until(lambda: answered_by() == 2)
        version = client.get("/models/2").json()
        assert (version["champion"], version["trial"], version["training"]["job"]) == (True, trial, job["id"])
        entries = client.get("/audit").raise_for_status().json()["entries"]
        actions = [entry["action"] for entry in reversed(entries)]
        told = ["POST /retrain", "end of a job", "end of a trial"]
        assert [action for action in actions if action in told] == told, "the story of how it got there"
