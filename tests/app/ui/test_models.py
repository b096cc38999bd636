"""Models: a person compares versions, promotes one and rolls back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from catdog.versions.manifest import Decision, Rule
from tests.app.service import Service, encoded, publish, serving
from tests.app.ui.browsing import give_key, seen, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser

KEPT_OUT = Decision(
    promote=False,
    reason="kept out: recall of cat 40.0% against 50.0%",
    champion=1,
    photos=100,
    rules=(
        Rule(name="accuracy", passed=True, candidate=0.5, champion=0.5, sentence="accuracy 50.0% against 50.0%"),
        Rule(name="recall of cat", passed=False, candidate=0.4, champion=0.5, sentence="recall of cat 40.0%"),
    ),
)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Service]:
    """A service with two versions: the first serves, the second has a decision and a report."""
    models_dir = tmp_path / "models"
    publish(models_dir)
    publish(models_dir, seed=8, decision=KEPT_OUT)
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


def test_the_versions_stand_side_by_side_with_their_metrics(page: Page) -> None:
    rows = page.get_by_role("table", name="Versions").get_by_role("row")

    expect(rows).to_have_count(3)
    assert rows.nth(0).inner_text().split("\t") == [
        *("Version", "Created", "Trained", "Accuracy", "Log-loss", "Calibration error", "Actions")
    ]
    expect(rows.nth(1)).to_contain_text("Version 2")
    expect(rows.nth(2)).to_contain_text("Version 1 serves")
    for shown in ("50.0% 40.0% to 60.0%, 100 validation", "0.700", "1.0%", "full"):
        expect(rows.nth(2)).to_contain_text(shown)


def test_another_version_is_promoted_and_rolled_back(page: Page, two: Service) -> None:
    page.get_by_role("button", name="Promote version 2").click()
    give_key(page)

    expect(seen(page, "Version 2 serves now.")).to_be_visible()
    expect(page.locator("#champion")).to_contain_text("Version 2 serves")
    expect(page.get_by_role("row", name="Version 2 serves")).to_be_visible()
    assert two.client.get("/model").json()["version"] == 2

    page.get_by_role("button", name="Roll back").click()
    expect(seen(page, "Version 1 serves now.")).to_be_visible()
    assert two.client.get("/model").json()["version"] == 1


def test_what_cannot_be_done_is_said(page: Page, two: Service) -> None:
    page.get_by_role("button", name="Roll back").click()
    give_key(page)

    expect(page.locator("#models-report")).to_contain_text("no")
    expect(page.locator("#models-report .fault")).to_be_visible()


def test_a_version_is_looked_at_with_its_decision_and_the_figures_of_its_report(page: Page) -> None:
    page.get_by_role("button", name="Look at version 2").click()

    expect(page.get_by_role("heading", name="Version 2")).to_be_focused()
    expect(seen(page, "Kept out: recall of cat 40.0%.")).to_be_visible()
    rules = page.get_by_role("table", name="The rules of promotion")
    expect(rules.get_by_role("row", name="recall of cat")).to_contain_text("failed")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Show the worst mistakes").click()
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

    expect(page.get_by_role("row", name="Version 2")).to_contain_text("manifest")
