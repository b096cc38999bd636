"""Drift of recent photos from the version's validation photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.serving.drift import HOURS, SLOT_SECONDS, Drift, Shift, index_by_chance, stability_index
from app.serving.prediction import Prediction
from catdog.versions.measurements import Histogram
from tests.app.scraping import scrape
from tests.app.service import ADMIN, encoded, publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

USUAL = Histogram(edges=(0.6, 0.7, 0.8), photos=(100, 100, 100, 100))
HOUR = 3600


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def prediction(probability: float, familiarity: float | None = None) -> Prediction:
    return Prediction(
        label="cat",
        probability=probability,
        probabilities={"cat": probability},
        familiarity=familiarity,
        model_version=1,
        prediction_id="",
    )


def shift(drift: Drift, hours: int = 1) -> Shift:
    (found,) = drift.shifts(hours)
    return found


def test_the_index_is_that_of_the_books() -> None:
    usual, recent = np.array([500, 300, 200]) * 10**6, np.array([400, 300, 300]) * 10**6

    expected = 0.1 * np.log(0.5 / 0.4) + 0.1 * np.log(0.3 / 0.2)
    assert stability_index(usual, recent) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("photos", [50, 200, 1000])
def test_where_nothing_has_moved_chance_goes_beyond_its_limit_once_in_100(photos: int) -> None:
    chance = np.random.default_rng(photos)
    found = [stability_index(*(chance.multinomial(n, [0.1] * 10) for n in (1000, photos))) for _ in range(4000)]

    assert 0.005 < np.mean(np.array(found) > index_by_chance(1000, photos, 10)) < 0.016


def test_photos_like_the_validation_photos_have_not_drifted() -> None:
    drift = Drift({"probability": USUAL})
    for probability in (0.55, 0.65, 0.75, 0.85) * 100:
        drift.add(prediction(probability))

    found = shift(drift)
    assert (found.measure, found.photos, found.drifted) == ("probability", 400, False)
    assert found.psi == pytest.approx(0, abs=1e-9)
    assert found.usual == found.recent == (0.25,) * 4


def test_photos_that_the_model_is_less_sure_of_have_drifted() -> None:
    drift = Drift({"probability": USUAL})
    for _ in range(100):
        drift.add(prediction(0.55))

    found = shift(drift)
    assert found.drifted
    assert found.psi is not None
    assert found.psi > 1
    assert found.recent == (1, 0, 0, 0)


def test_one_photo_is_no_drift() -> None:
    drift = Drift({"probability": USUAL})
    drift.add(prediction(0.55))

    found = shift(drift)
    assert found.psi is not None
    assert not found.drifted


def test_without_a_photo_there_is_no_index() -> None:
    found = shift(Drift({"probability": USUAL}))

    assert (found.psi, found.by_chance, found.drifted, found.photos) == (None, None, False, 0)


def test_what_is_older_is_left_out_and_at_last_forgotten() -> None:
    clock = Clock()
    drift = Drift({"probability": USUAL}, clock)
    drift.add(prediction(0.55))
    clock.seconds += HOUR
    drift.add(prediction(0.55))

    assert (shift(drift, 1).photos, shift(drift, 2).photos) == (1, 2)

    clock.seconds += HOURS * HOUR
    assert shift(drift, HOURS).photos == 0


def test_a_day_of_photos_takes_no_more_memory_than_its_slots() -> None:
    clock = Clock()
    drift = Drift({"probability": USUAL}, clock)
    for _ in range(2000):
        drift.add(prediction(0.55))
        clock.seconds += SLOT_SECONDS / 2

    assert len(drift._slots) == HOURS * HOUR / SLOT_SECONDS


def test_the_service_tells_how_far_its_answers_have_moved(tmp_path: Path) -> None:
    publish(tmp_path, histograms={"probability": Histogram(edges=(2.0,), photos=(500, 0))})
    with serving(tmp_path, keep_uploads=0) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        for shade in range(3):
            photo = encoded(Image.new("L", (16, 16), shade), "PNG")
            assert service.client.post("/predict", content=photo).is_success

        found = service.client.get("/drift").json()
        day = service.client.get("/drift?hours=24").json()
        check(service.client.get("/drift?hours=25"), "invalid-request", 422)

    assert (found["model_version"], found["hours"], day["hours"]) == (1, 1, 24)
    (moved,) = found["shifts"]
    assert (moved["measure"], moved["photos"], moved["drifted"]) == ("probability", 3, False)
    assert day["shifts"] == found["shifts"]


def test_review_reports_drift(tmp_path: Path) -> None:
    publish(tmp_path, histograms={"probability": Histogram(edges=(2.0,), photos=(1, 10_000))})
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        photos = [encoded(Image.new("L", (16, 16), shade), "PNG") for shade in range(3)]
        before = service.client.get("/review", headers=ADMIN).json()["drifted"]
        for photo in photos:
            assert service.client.post("/predict", content=photo).is_success

        assert (before, service.client.get("/review", headers=ADMIN).json()["drifted"]) == ([], ["probability"])


def test_a_version_without_histograms_knows_of_no_drift(tmp_path: Path) -> None:
    publish(tmp_path)
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)

        assert service.client.get("/drift").json() == {"model_version": 1, "hours": 1, "shifts": []}


def test_drift_is_among_the_numbers_to_watch(tmp_path: Path) -> None:
    publish(tmp_path, histograms={"probability": Histogram(edges=(2.0,), photos=(1, 10_000))})
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        assert scrape(service).find("catdog_drifted", measure="probability") == 0
        for shade in range(3):
            service.client.post("/predict", content=encoded(Image.new("L", (16, 16), shade), "PNG"))

        page = scrape(service)

    assert page.find("catdog_drifted", measure="probability") == 1
    assert page.find("catdog_drift_photos", measure="probability") == 3
    assert (page.find("catdog_drift_index", measure="probability") or 0) > 1
