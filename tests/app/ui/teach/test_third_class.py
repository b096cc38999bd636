"""Teach: from the start of the page to a third class in service, counted in clicks."""

import pytest
from playwright.sync_api import Browser, Page, expect

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from tests.app.api.test_datasets import picture
from tests.app.service import Service, publish
from tests.app.ui.browsing import file, give_key, seen, visiting
from tests.app.ui.teach.test_outcome import OTHER_CLASSES
from tests.waiting import until

pytestmark = pytest.mark.browser

CLASSES = ("cat", "dog", "hamster")
MOST_CLICKS = 8
COUNTED = """() => {
    window.clicks = 0;
    document.addEventListener("pointerdown", () => { window.clicks += 1; }, { capture: true });
}"""


def add(page: Page, label: str, place: int) -> None:
    """Choose the pictures of a class, as from a folder."""
    with page.expect_file_chooser() as chosen:
        page.locator("#class-drops label", has_text=f"pictures of {label}").click()
    chosen.value.set_files([file(f"{n}.png", picture(100 * place + n)) for n in range(20)])


def test_a_third_class_takes_eight_clicks(browser: Browser, taught: Service) -> None:
    with visiting(browser, taught.app.state.settings.address) as page:
        page.evaluate(COUNTED)
        page.get_by_role("link", name="Teach").click()
        page.get_by_label("Another class").click()
        page.keyboard.type("hamster")
        page.keyboard.press("Enter")
        for place, label in enumerate(CLASSES):
            add(page, label, place)
            if not place:
                give_key(page)
            expect(seen(page, f"20 new pictures of {label}.")).to_be_visible()
        page.get_by_role("button", name="Train", exact=True).click()
        train(taught)
        page.get_by_role("button", name="Use it").click()

        expect(page.locator("#champion")).to_contain_text("Version 2 serves: cat, dog or hamster")
        assert page.evaluate("clicks") <= MOST_CLICKS


def train(service: Service) -> None:
    """The work of the trainer, whose version isn't promoted by itself, because it has other classes."""
    jobs: Jobs = service.app.state.database.jobs
    until(jobs.is_waiting)
    lease = jobs.claim("the test")
    assert lease is not None
    number = publish(service.app.state.settings.models_dir, CLASSES, seed=8, decision=OTHER_CLASSES)
    said = {**OTHER_CLASSES.model_dump(mode="json"), "promoted": False}
    lease.end(Status.SUCCEEDED, OTHER_CLASSES.reason, version=number, decision=said)
