"""Teach says when trainings start by themselves, and what triggered one."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from catdog.jobs.queue import Automatic
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, serving
from tests.app.ui.browsing import seen, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


def test_without_a_policy_the_page_says_how_to_set_one(page: Page) -> None:
    page.get_by_role("link", name="Teach").click()

    expect(seen(page, "Trainings start only on request.")).to_be_visible()


def test_the_policy_what_it_waits_for_and_what_triggered_a_training_are_shown(
    browser: Browser, models_dir: Path, tmp_path: Path
) -> None:
    policy: dict[str, Any] = {"retrain_after_labels": 5, "retrain_schedule": "0 3 * * *"}
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", **policy) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        members = {f"{label}/{n}.png": picture(n + 9 * (label == "dog")) for label in ("cat", "dog") for n in range(2)}
        archive = {"file": zipped(members)}
        service.client.post("/datasets/pets/archive", files=archive, headers=ADMIN).raise_for_status()
        request = {"dataset": "pets", "strategy": "head"}
        service.app.state.database.jobs.submit_if(lambda connection: Automatic(request, "50 new labels"))

        with visiting(browser, service.app.state.settings.address) as page:
            page.get_by_role("link", name="Teach").click()

            rules = "after 5 new labels; at the times 0 3 * * * (cron). At most once in 1 hour."
            expect(seen(page, f"Trainings start by themselves: {rules}")).to_be_visible()
            expect(page.locator("#policy")).to_contain_text("None starts now: 0 of 5 new labels in pets")
            expect(page.locator("#policy")).to_contain_text("The next one may start")
            expect(page.locator("#training")).to_contain_text(": 50 new labels")
