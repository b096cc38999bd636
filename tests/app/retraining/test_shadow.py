"""A candidate runs next to the champion on live photos, and live photos decide on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.retraining import shadow
from app.serving.trials.shadow import LIMIT, ShadowQueue
from catdog import images
from catdog.engines.engine import Output
from catdog.versions.store import Store
from tests.app.service import ADMIN, HeldEngine, Service, encoded, publish, serving
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("quick_shadow")
AGREES, DISAGREES = 8, 11  # seeds of heads: of the tests' photo the first says the champion's class, the second doesn't
OTHER = 9  # seed of another backbone, which names the champion's class too


def on_trial(folder: Path, **of_candidate: Any) -> Path:
    """A store whose second version is on trial beside the first."""
    publish(folder / "models")
    publish(folder / "models", **of_candidate)
    Store(folder / "models").try_out(2, 1)
    return folder / "models"


@contextmanager
def shadowing(models_dir: Path, **settings: Any) -> Iterator[Service]:
    """A service that has loaded the candidate of its store's trial."""
    with serving(models_dir, worker="none", **settings) as service:
        service.client.headers.update(ADMIN)
        until(lambda: service.predictor.shadow.wants(1))
        yield service


def state(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/shadow").raise_for_status().json()
    return found


def predict(service: Service, photo: bytes, times: int = 1) -> str:
    """Ask so many times; returns the id of the last prediction."""
    for _ in range(times):
        answer = service.client.post("/predict", content=photo).raise_for_status().json()
        assert answer["model_version"] == 1, "the candidate answers nobody"
    return str(answer["prediction_id"])


def ended(service: Service) -> dict[str, Any]:
    """The trial once it has ended."""
    until(lambda: not state(service)["running"])
    found: dict[str, Any] = state(service)["trial"]
    return found


def audited(service: Service) -> list[bool]:
    """Whether each trial in the audit log was promoted."""
    entries = service.client.get("/audit").json()["entries"]
    return [entry["details"]["promoted"] for entry in entries if entry["action"] == "end of a trial"]


def serves(service: Service) -> int:
    return int(service.client.get("/model").json()["version"])


def test_a_candidate_that_agrees_is_promoted_after_enough_photos(tmp_path: Path, jpeg: bytes) -> None:
    with shadowing(on_trial(tmp_path, head_seed=AGREES), shadow_photos=6) as service:
        predict(service, jpeg, times=5)
        until(lambda: state(service)["trial"]["photos"] == 5)
        halfway = state(service)
        assert (halfway["running"], halfway["photos_wanted"], serves(service)) == (True, 6, 1)
        assert {rule["name"]: rule["passed"] for rule in halfway["so_far"]["rules"]} == {
            "live photos": False,
            "agreement": True,
            "unknown": True,
        }

        predict(service, jpeg)

        trial = ended(service)
        assert (trial["promoted"], trial["photos"], trial["decision"]["promote"]) == (True, 6, True)
        assert trial["decision"]["reason"] == (
            "promoted after 6 live photos beside version 1: the same class for 100.0% of the 6 known photos (limit"
            " 95.0%); 0.0% of the photos called unknown against 0.0% (limit 2.0%; p = 1)"
        )
        until(lambda: serves(service) == 2)
        until(lambda: audited(service) == [True])
        assert service.client.get("/models/2").json()["trial"] == trial
        assert service.client.get("/models").json()["versions"][0]["trial"] == trial


def test_a_candidate_that_disagrees_is_kept_out_with_the_reasons(tmp_path: Path, jpeg: bytes) -> None:
    with shadowing(on_trial(tmp_path, head_seed=DISAGREES), shadow_photos=3) as service:
        predict(service, jpeg, times=3)

        trial = ended(service)
        assert (trial["promoted"], trial["decision"]["promote"]) == (False, False)
        assert trial["decision"]["reason"] == (
            "not promoted after 3 live photos beside version 1: the same class for 0.0% of the 3 known photos (limit"
            " 95.0%)"
        )
        assert (serves(service), service.client.get("/models/2").json()["trial"]) == (1, trial)
        until(lambda: not service.predictor.shadow.wants(1))


def test_of_another_network_the_time_of_inference_is_compared_too(tmp_path: Path, jpeg: bytes) -> None:
    with shadowing(on_trial(tmp_path, seed=OTHER), shadow_photos=4) as service:
        predict(service, jpeg, times=3)
        until(lambda: state(service)["trial"]["photos"] == 3)

        latency = next(rule for rule in state(service)["so_far"]["rules"] if rule["name"] == "latency")
        assert latency["candidate"] > 0
        assert latency["limit"] == pytest.approx(1.25 * latency["champion"])


def test_while_a_request_waits_no_photo_is_compared(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    look = shadow.Shadow.look

    async def counted(self: shadow.Shadow) -> None:
        looks.append(None)
        await look(self)

    def more_looks(count: int) -> None:
        wanted = len(looks) + count
        until(lambda: len(looks) >= wanted)

    monkeypatch.setattr(shadow.Shadow, "look", counted)
    with shadowing(on_trial(tmp_path, head_seed=AGREES)) as service, service.with_engine(HeldEngine):
        engine, queue, pixels = service.predictor.champion.engine, service.predictor.shadow, images.decode(jpeg)
        assert isinstance(engine, HeldEngine)
        asking = Thread(target=predict, args=(service, jpeg))
        asking.start()
        assert engine.held.wait(PATIENCE_SECONDS)
        more_looks(2)  # what began while the service was idle has ended
        watch = queue.watcher(1, "a prediction")
        for _ in range(3):
            watch(pixels, engine.engine.infer(pixels[np.newaxis]))
        more_looks(3)
        assert len(queue) == 3

        engine.let_go.set()
        asking.join()
        until(lambda: state(service)["trial"]["photos"] == 4)


def test_a_full_queue_takes_no_more_photos() -> None:
    queue = ShadowQueue()
    queue.open(1)
    watch = queue.watcher(1, "a prediction")
    assert not queue.wants(2), "answers of other versions aren't compared"
    output = Output(np.zeros((1, 2), np.float32), np.zeros((1, 16), np.float32))

    for _ in range(LIMIT + 2):
        watch(np.zeros((224, 224, 3), np.uint8), output)

    assert (len(queue), queue.left_out) == (LIMIT, 2)


def test_photos_about_which_both_disagree_are_reviewed_until_the_trial_ends_or_they_are_deleted(
    tmp_path: Path, jpeg: bytes
) -> None:
    other = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
    models_dir = on_trial(tmp_path, head_seed=DISAGREES)
    with shadowing(models_dir, shadow_photos=1000) as service:
        for photo in (jpeg, other):
            predict(service, photo)
        until(lambda: state(service)["trial"]["photos"] == 2)
        items = service.client.get("/review?order=disagreement").json()["items"]

        trial = Store(models_dir).trials.running()
        assert trial is not None
        assert [one["prediction"]["prediction_id"] for one in items] == [*trial.disagreed]
        for one in items:
            assert (one["reason"], one["other"]["unknown"]) == ("disagreement", False)
            assert one["other"]["label"] != one["prediction"]["label"]
        mixed = service.client.get("/review?order=mixed").json()["items"]
        assert mixed[0] == items[0]

        service.client.delete(f"/predictions/{items[0]['prediction']['prediction_id']}").raise_for_status()
        trial = Store(models_dir).trials.running()
        assert trial is not None
        assert [*trial.disagreed] == [one["prediction"]["prediction_id"] for one in items[1:]]
        assert service.client.get("/review?order=disagreement").json()["items"] == items[1:]

        service.client.delete("/shadow").raise_for_status()
        assert not Store(models_dir).trials.read()[2].disagreed
        assert service.client.get("/review?order=disagreement").json()["items"] == []


def test_labels_from_feedback_count_once_for_each_photo(tmp_path: Path, jpeg: bytes) -> None:
    with shadowing(on_trial(tmp_path, head_seed=AGREES)) as service:
        ids = [predict(service, jpeg) for _ in range(2)]
        for prediction_id, label in ((ids[0], "cat"), (ids[1], "dog"), (ids[0], "dog"), (ids[1], "neither")):
            given = {"prediction_id": prediction_id, "label": label, "dataset": "pets"}
            service.client.post("/feedback", json=given).raise_for_status()

        until(lambda: state(service)["trial"]["labelled"] == 2)
        found = Store(service.app.state.settings.models_dir).trials.running()
        assert found is not None
        until(lambda: not service.app.state.shadow._labels)
        assert set(found.labelled) == set(ids)
