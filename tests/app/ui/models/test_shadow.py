"""Models shows the trial of a version beside the one in service."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from catdog.versions.store import Store
from tests.app.service import publish, serving
from tests.app.ui.browsing import give_key, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


def test_a_trial_is_followed_ended_and_explained(browser: Browser, tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path / "models")
    publish(tmp_path / "models", seed=9)
    Store(tmp_path / "models").try_out(2, 1)
    with serving(tmp_path / "models", worker="none", data_dir=tmp_path / "data") as service:
        until(lambda: service.predictor.shadow.wants(1))
        with visiting(browser, service.app.state.settings.address) as page:
            page.get_by_role("link", name="Models").click()
            trial, versions = page.locator("#shadow"), page.get_by_role("listitem")
            expect(trial).to_contain_text("Version 2 answers live photos beside version 1, in idle time.")
            expect(trial).to_contain_text("So far 0 of 500 photos; the trial ends by")
            expect(versions.nth(1)).to_contain_text("On trial beside version 1.")

            service.client.post("/predict", content=jpeg).raise_for_status()

            expect(trial).to_contain_text("So far 1 of 500 photos")
            expect(trial.get_by_role("row", name="same class as the champion")).to_contain_text("at least 95.0%")
            expect(trial.get_by_role("row", name="time of inference")).to_contain_text(" ms")
            shot(page, "shadow")
            trial.get_by_role("button", name="End the trial").click()
            give_key(page)
            expect(trial).to_be_empty()
            ended = "Kept out after its trial on 1 live photo beside version 1: the trial was ended by hand."
            expect(versions.nth(1)).to_contain_text(ended)
            versions.nth(1).get_by_role("button", name="Details of version 2").click()
            expect(page.locator("#version")).to_contain_text("the trial was ended by hand")
