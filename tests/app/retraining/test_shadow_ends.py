"""A trial goes on after a restart, and ends by hand, by time, or with its version."""

import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from catdog.system.failpoints import OF_TRIALS
from catdog.versions.store import Store
from tests.app.process import running
from tests.app.retraining.test_shadow import AGREES, ended, on_trial, predict, serves, shadowing, state
from tests.app.service import publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("quick_shadow")


def test_a_trial_goes_on_after_a_restart(tmp_path: Path, jpeg: bytes) -> None:
    models_dir = on_trial(tmp_path, head_seed=AGREES)
    with shadowing(models_dir, shadow_photos=4) as service:
        predict(service, jpeg, times=2)
        until(lambda: state(service)["trial"]["photos"] == 2)

    with shadowing(models_dir, shadow_photos=4) as service:
        assert state(service)["trial"]["photos"] == 2
        predict(service, jpeg, times=2)

        assert ended(service)["promoted"]


@pytest.mark.parametrize("failpoint", OF_TRIALS[1:])
def test_a_service_killed_during_the_decision_carries_it_out_after_the_restart(
    tmp_path: Path, jpeg: bytes, failpoint: str
) -> None:
    models_dir = on_trial(tmp_path, head_seed=AGREES)
    with running(models_dir, CATDOG_SHADOW_PHOTOS="1", FAILPOINTS=failpoint) as process:
        until(process.is_ready)

        def is_killed() -> bool:
            with suppress(httpx.TransportError):  # it may be killed before its answer is read
                httpx.post(f"{process.url}/predict", content=jpeg)
            return process.popen.poll() is not None

        until(is_killed)
        assert process.popen.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    left = Store(models_dir).trials.running()
    assert left is not None
    assert left.decision is not None
    assert Store(models_dir).champion() == (2 if failpoint == "trial.promoted" else 1)

    with serving(models_dir, worker="none", shadow_photos=1000) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        trial = ended(service)
        until(lambda: serves(service) == 2)

    assert (trial["promoted"], trial["decision"]["reason"]) == (True, left.decision.reason)


def test_a_trial_ends_by_hand_or_when_another_version_is_promoted_or_its_own_deleted(
    tmp_path: Path, jpeg: bytes
) -> None:
    models_dir = on_trial(tmp_path, head_seed=AGREES)
    for seed in (12, 13, 14):
        publish(models_dir, seed=seed)
    store = Store(models_dir)
    with shadowing(models_dir) as service:
        by_hand = service.client.delete("/shadow").raise_for_status().json()
        assert by_hand["decision"]["reason"] == "not promoted: the trial was ended by hand"
        check(service.client.delete("/shadow"), "no-trial", 404)
        assert not state(service)["running"]

        store.try_out(3, 1)
        until(lambda: service.predictor.shadow.wants(1))
        service.client.delete("/models/3").raise_for_status()
        until(lambda: not service.predictor.shadow.wants(1))
        assert state(service)["trial"]["version"] == 2, "a deleted version has no trial"

        store.try_out(4, 1)
        until(lambda: service.predictor.shadow.wants(1))
        service.client.post("/models/5/promote").raise_for_status()
        assert ended(service)["decision"]["reason"] == "not promoted: version 5 was put into service"


def test_a_trial_without_enough_photos_in_its_time_keeps_the_version_out(tmp_path: Path) -> None:
    with serving(on_trial(tmp_path, head_seed=AGREES), worker="none", shadow_hours=1e-9) as service:
        until(lambda: not state(service)["running"])

        reason = state(service)["trial"]["decision"]["reason"]
        assert reason == "not promoted after 0 live photos beside version 1: 0 live photos, of at least 50"


def test_a_candidate_that_cannot_be_loaded_is_kept_out(tmp_path: Path) -> None:
    models_dir = on_trial(tmp_path, head_seed=AGREES)
    file = models_dir / "2" / "model.weights.h5"
    file.write_bytes(file.read_bytes()[:-1])
    with serving(models_dir, worker="none") as service:
        until(lambda: not state(service)["running"])

        reason = state(service)["trial"]["decision"]["reason"]
    assert reason.startswith("not promoted: version 2 can't be used: ")
