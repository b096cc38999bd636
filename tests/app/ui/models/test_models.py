"""Models: a person compares versions, promotes one and rolls back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.manifest import Decision, Rule
from catdog.versions.measurements import Metrics, Neither, Speed, Unknown
from catdog.versions.store import Store
from tests.app.api.test_comparisons import with_two_versions
from tests.app.service import ADMIN, Service, encoded, publish, serving
from tests.app.ui.browsing import give_key, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser

KEPT_OUT = Decision(
    promote=False,
    reason="not promoted: recall of cat 40.0% against 50.0%",
    champion=1,
    photos=100,
    rules=(
        Rule(name="accuracy", passed=True, candidate=0.5, champion=0.5, sentence="accuracy 50.0% against 50.0%"),
        Rule(name="recall of cat", passed=False, candidate=0.4, champion=0.5, sentence="recall of cat 40.0%"),
    ),
)


MEASURED = Unknown(
    usual_length=1.0,
    threshold=0.5,
    photos=10,
    kept=0.9,
    neither=Neither(photos=25, told=0.8, data="the test photos", kept=0.96, auroc=0.9),
)
CHARTS = {
    "classes": ["cat", "dog"],
    "confusion": [[1, 1], [0, 2]],
    "reliability": [{"photos": 1, "probability": 0.6, "right": 0.0}, {"photos": 3, "probability": 0.87, "right": 1.0}],
}
SHARES = {
    "log_loss": 0.1,
    "calibration_error": 0.01,
    "precision": {"cat": 0.9, "dog": 0.9},
    "recall": {"cat": 0.9, "dog": 0.9},
    "data": "the test photos",
}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Service]:
    """A service with two versions: the first serves, the second has a decision and a report."""
    models_dir = tmp_path / "models"
    publish(models_dir)
    publish(models_dir, seed=8, decision=KEPT_OUT, unknown=MEASURED)
    for name in ("confusion-matrix", "reliability", "worst-mistakes"):
        (models_dir / "2" / "report" / f"{name}.png").write_bytes(encoded(Image.new("RGB", (40, 30), "teal"), "PNG"))
    with serving(models_dir, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.fixture
def page(browser: Browser, two: Service) -> Iterator[Page]:
    with visiting(browser, two.app.state.settings.address) as page:
        page.get_by_role("link", name="Models").click()
        yield page


def test_accuracy_is_drawn_against_speed_if_two_versions_have_both(browser: Browser, tmp_path: Path) -> None:
    publish(tmp_path / "models", speed=Speed(photos_per_second=64.2, precision="int8"))
    publish(tmp_path / "models", seed=8, speed=Speed(photos_per_second=612.0, precision="int8"))
    publish(tmp_path / "models", seed=9)
    with serving(tmp_path / "models", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        with visiting(browser, service.app.state.settings.address) as page:
            page.get_by_role("link", name="Models").click()
            chart = page.get_by_role("img", name="Accuracy against speed")

            expect(chart).to_have_attribute("aria-label", re.compile("version 2: 612 photos a second, 50.0%"))
            expect(chart.locator("circle")).to_have_count(2)
            expect(versions(page).first).to_contain_text("64 photos a second where it was trained · ")
            expect(versions(page).last).to_contain_text("billion multiply-adds")
            expect(versions(page).nth(1)).not_to_contain_text("photos a second")
            shot(page, "tradeoff")


def test_one_version_alone_needs_no_drawing(page: Page) -> None:
    expect(versions(page)).to_have_count(2)
    expect(page.get_by_role("img", name="Accuracy against speed")).to_have_count(0)


def versions(page: Page) -> Locator:
    return page.get_by_role("list", name="Versions").locator("> li")


def test_a_version_is_shown_with_its_data_its_decision_and_its_accuracy(page: Page) -> None:
    expect(versions(page)).to_have_count(2)
    one, two = versions(page).nth(0), versions(page).nth(1)

    expect(one.get_by_role("heading")).to_have_text("Version 1 in service")
    for shown in ("cat and dog · photos of a folder, 2 for training · full", "50.0% accuracy on 100 validation photos"):
        expect(one).to_contain_text(shown)
    expect(one).to_contain_text("95% interval: 40.0% to 60.0%")
    expect(two).to_contain_text("Not promoted: recall of cat 40.0%.")
    expect(two).to_contain_text("On the same 100 test photos it has 50.0%, version 1 50.0%")


def test_another_version_is_promoted_by_hand_and_rolled_back(page: Page, two: Service) -> None:
    page.get_by_role("button", name="Use it: put version 2 into service").click()
    give_key(page)

    expect(page.locator("#models-report")).to_have_text("Version 2 is in service now.")
    expect(page.locator("#champion")).to_contain_text("Version 2 serves")
    expect(versions(page).nth(0)).to_contain_text("Version 2 in service")
    expect(versions(page).nth(0)).to_contain_text(
        "Promoted by hand. The rule had not promoted it: recall of cat 40.0%."
    )
    assert two.client.get("/model").json()["version"] == 2

    page.get_by_role("button", name="Roll back").click()
    expect(page.locator("#models-report")).to_have_text("Version 1 is in service now.")
    assert two.client.get("/model").json()["version"] == 1


def test_a_version_is_deleted(page: Page, two: Service) -> None:
    page.get_by_role("button", name="Discard: delete version 2").click()
    page.get_by_role("button", name="Delete it").click()
    give_key(page)

    expect(page.locator("#models-report")).to_have_text("Version 2 was deleted.")
    expect(versions(page)).to_have_count(1)


def test_a_high_accuracy_on_few_photos_never_stands_above_one_on_many_without_saying_so(
    browser: Browser, tmp_path: Path
) -> None:
    many = {**SHARES, "photos": 1000, "accuracy": 0.987, "accuracy_low": 0.978, "accuracy_high": 0.993}
    few = {**SHARES, "photos": 5, "accuracy": 1.0, "accuracy_low": 0.566, "accuracy_high": 1.0}
    publish(tmp_path, metrics={"test": Metrics.model_validate(many)})
    lineage = Store(tmp_path).open(1).manifest.lineage
    others = lineage.dataset.model_copy(update={"fingerprint": "1" * 64})
    publish(
        tmp_path,
        metrics={"test": Metrics.model_validate(few)},
        lineage=lineage.model_copy(update={"dataset": others}),
    )
    with (
        serving(tmp_path, worker="none") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        until(lambda: service.client.get("/health/ready").is_success)
        page.get_by_role("link", name="Models").click()
        second = versions(page).filter(has_text="Version 2")

        expect(second).to_contain_text("So few photos say little: it may be right on only 56.6%")
        expect(second).to_contain_text(
            "These photos may be others than those of version 1, so the two accuracies can’t be compared"
        )
        service.client.post("/models/2/promote", headers=ADMIN).raise_for_status()
        page.get_by_label("Sort by").select_option("accuracy that it surely has")
        expect(versions(page).get_by_role("heading")).to_have_text(["Version 1", "Version 2 in service"])
        shot(page, "few-photos")


def test_a_version_of_a_training_names_its_data_set(page: Page, two: Service) -> None:
    jobs: Jobs = two.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "head", "promote": "auto"})
    lease = jobs.claim("the test")
    assert lease is not None
    lease.end(Status.SUCCEEDED, "", version=2, decision={"promoted": False})

    page.reload()

    expect(versions(page).filter(has_text="Version 2")).to_contain_text("data set “pets”")


def test_what_cannot_be_done_is_said(page: Page, two: Service) -> None:
    page.get_by_role("button", name="Roll back").click()
    give_key(page)

    expect(page.locator("#models-report")).to_contain_text("no")
    expect(page.locator("#models-report .fault")).to_be_visible()


def test_a_version_is_looked_at_with_its_decision_and_the_figures_of_its_report(page: Page) -> None:
    page.get_by_role("button", name="Details of version 2").click()

    expect(page.locator("#version").get_by_role("heading", name="Version 2")).to_be_focused()
    expect(page.locator("#version")).to_contain_text("Not promoted: recall of cat 40.0%.")
    expect(page.locator("#version")).to_contain_text(
        "Of 25 photos of none of its classes it calls 80.0% unknown, of those of its classes 4.0%."
    )
    rules = page.get_by_role("table", name="The rules of promotion")
    expect(rules.get_by_role("row", name="recall of cat")).to_contain_text("failed")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Show: Worst mistakes").click()
    give_key(page)
    for name in ("Confusion matrix", "Reliability diagram", "Worst mistakes"):
        figure = page.get_by_role("img", name=f"{name} of version 2")
        figure.scroll_into_view_if_needed()
        until(lambda figure=figure: figure.evaluate("image => image.naturalWidth") == 40)  # type: ignore[misc]
    compared = page.get_by_role("table", name="Metrics")
    expect(compared.get_by_role("columnheader")).to_have_text(["Measured", "Version 2", "Champion (1)"])
    expect(page.get_by_role("table", name="By class, on validation photos").get_by_role("row")).to_have_count(3)


def test_a_version_that_cannot_be_used_says_why(page: Page, two: Service) -> None:
    (two.app.state.settings.models_dir / "2" / "manifest.json").write_text("{")
    page.get_by_role("link", name="Ask").click()
    page.get_by_role("link", name="Models").click()

    expect(versions(page).filter(has_text="Version 2")).to_contain_text("manifest")


def test_two_versions_are_compared_on_the_photos_that_both_were_measured_on(page: Page) -> None:
    page.locator("#compare-one").select_option("2")
    page.locator("#compare-other").select_option("1")
    page.get_by_role("button", name="Compare", exact=True).click()

    expect(page.get_by_role("heading", name="Version 2 and version 1")).to_be_focused()
    expect(page.locator("#version .notice")).to_contain_text("on the same 100 test photos")
    numbers = page.get_by_role("table", name="Both versions")
    expect(numbers.get_by_role("row", name="accuracy")).to_contain_text("50.0% (95% interval: 40.0% to 60.0%)")
    expect(page.get_by_role("table", name="The rules of promotion")).to_be_visible()
    shot(page, "compared")


@pytest.mark.whole
def test_two_versions_look_at_the_same_photos_of_a_data_set(browser: Browser, tmp_path: Path) -> None:
    with (
        with_two_versions(tmp_path, "process") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        page.get_by_role("link", name="Models").click()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator("#same-photos option")).to_have_text("pets: 16 test photos")

        page.get_by_role("button", name="Compare on these photos").click()
        give_key(page)

        expect(page.locator("#version")).to_contain_text("percentage points")
        numbers = page.get_by_role("table", name="On the same 16 test photos of “pets”: cat and dog")
        expect(numbers.get_by_role("row", name="recall of cat")).to_be_visible()
        expect(page.get_by_role("heading", name="They differ on 15 photos")).to_be_visible()
        expect(page.locator(".thumbnails li")).to_have_count(15)
        page.locator(".thumbnails img").first.scroll_into_view_if_needed()
        until(lambda: page.locator(".thumbnails img").first.evaluate("image => image.naturalWidth") > 0)
        expect(page.locator(".thumbnails li").first).to_contain_text("Version 2: ")
        shot(page, "same-photos")

        page.evaluate("sessionStorage.clear()")
        page.reload()
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_role("button", name="Show the pictures").click()
        give_key(page)
        expect(page.locator(".thumbnails li")).to_have_count(15)


def test_a_report_with_numbers_is_drawn_by_the_page(page: Page, two: Service) -> None:
    folder = two.app.state.settings.models_dir / "2" / "report"
    (folder / "charts.json").write_text(json.dumps(CHARTS))
    (folder / "history.csv").write_text("epoch,accuracy,log_loss,val_accuracy,val_log_loss\n1,0.5,0.7,0.5,0.8\n")

    page.get_by_role("button", name="Details of version 2").click()

    matrix = page.get_by_role("table", name="Confusion matrix").get_by_role("row")
    expect(matrix).to_have_text(["true classsaid catsaid dog", "cat11", "dog02"])
    expect(page.get_by_role("img", name="Reliability diagram: ")).to_be_visible()
    expect(page.get_by_role("img", name="Log-loss after 1 of 1 epoch")).to_be_visible()
    expect(page.get_by_role("img", name="Confusion matrix of version 2")).to_have_count(0)
    shot(page, "charts")
