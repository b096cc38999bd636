"""Models shows the canary and its numbers."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.app.service import ADMIN, publish, serving
from tests.app.ui.browsing import give_key, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


def test_a_canary_is_followed_and_ended(browser: Browser, tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path / "models")
    publish(tmp_path / "models", head_seed=8)
    with serving(tmp_path / "models", worker="none", data_dir=tmp_path / "data") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        begun = service.client.post("/models/2/canary", json={"share": 0.999}, headers=ADMIN)
        begun.raise_for_status()
        assert service.client.post("/predict", content=jpeg).json()["model_version"] == 2
        with visiting(browser, service.app.state.settings.address) as page:
            page.get_by_role("link", name="Models").click()
            canary = page.locator("#canary")
            expect(canary).to_contain_text("Version 2 answers 99.9% of the clients, version 1 the others.")
            expect(canary.get_by_role("row", name="photos")).to_contain_text("10")
            expect(canary.get_by_role("row", name="failed").get_by_role("cell")).to_have_text(["0.0%", "–"])
            time = canary.get_by_role("row", name="mean time to an answer").get_by_role("cell")
            expect(time).to_have_text([re.compile(r"^[\d.]{1,5} ms$"), "–"])
            shot(page, "canary")

            canary.get_by_role("button", name="End the canary").click()
            give_key(page)

            expect(canary).to_be_empty()
        assert service.client.post("/predict", content=jpeg).json()["model_version"] == 1


def test_a_canary_is_begun_with_a_share_and_limits(browser: Browser, tmp_path: Path) -> None:
    publish(tmp_path / "models")
    publish(tmp_path / "models", head_seed=8)
    publish(tmp_path / "models", ("cat", "dog", "fish"))
    with (
        serving(tmp_path / "models", worker="none", data_dir=tmp_path / "data") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        until(lambda: service.client.get("/health/ready").is_success)
        page.get_by_role("link", name="Models").click()
        start = page.get_by_role("button", name="Let some clients try it")
        expect(start).to_have_count(1)  # not of the version in service, nor of one with other classes
        start.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Share of the clients").fill("12.5")
        dialog.get_by_text("Limits", exact=True).click()
        expect(dialog.get_by_label("Photos of each version")).to_have_value("100")
        dialog.get_by_label("Photos of each version").fill("40")
        dialog.get_by_label("Unknown photos").fill("7")
        shot(page, "canary-dialog")
        dialog.get_by_role("button", name="Begin").click()
        give_key(page)

        expect(page.locator("#canary")).to_contain_text("Version 2 answers 12.5% of the clients")
        expect(page.locator("#canary")).to_contain_text("From 40 photos of each on")
        expect(page.locator("#canary")).to_contain_text(
            "Limits: 1.0 percentage points more failed photos, 7.0 more unk"
        )
        begun = service.client.get("/canary").json()["canary"]
        assert (begun["share"], begun["photos_wanted"]) == (0.125, 40)
        assert begun["limits"] == {"photos": 40, "errors": 0.01, "unknown": 0.07, "latency": 1.5}
