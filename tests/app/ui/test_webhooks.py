"""Webhooks on the page: an admin sees what was sent, and sends it again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pydantic import SecretStr

from app.webhooks import sender
from catdog.webhooks.message import Kind
from tests.app.service import ADMIN, ADMIN_KEY, Service, serving
from tests.app.ui.browsing import give_key, seen, shot, visiting
from tests.app.ui.test_texts import texts
from tests.app.webhooks.receiver import SECRET, Receiver, answering
from tests.waiting import until


def test_every_kind_of_event_has_a_text_in_every_language() -> None:
    for language in ("en", "de"):
        assert {kind.replace(".", "_") for kind in Kind} == texts(language)["event"].keys()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def notifying(
    receiver: Receiver, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A service whose events are tried once."""
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.05)
    settings: dict[str, Any] = {"webhook_urls": (receiver.url,), "webhook_private": True, "webhook_hours": 1e-6}
    secret = SecretStr(SECRET)
    with serving(models_dir, data_dir=tmp_path / "data", worker="none", webhook_secret=secret, **settings) as service:
        service.client.headers.update(ADMIN)
        until(lambda: service.client.get("/webhooks").json()["urls"] != [])
        yield service


@pytest.mark.browser
def test_an_event_that_failed_is_shown_with_its_problem_and_sent_again(
    browser: Browser, notifying: Service, receiver: Receiver
) -> None:
    receiver.answer = answering(500, times=1)
    notifying.client.post("/datasets", json={"name": "x" * 64}).raise_for_status()
    until(lambda: notifying.client.get("/webhooks?status=failed").json()["deliveries"] != [])
    phone = {"width": 360, "height": 740}
    with visiting(browser, notifying.app.state.settings.address, viewport=phone) as page:
        page.get_by_role("link", name="Webhooks").click()
        give_key(page)

        expect(page.locator("#webhooks-list li")).to_contain_text("Data set changed")
        expect(page.locator("#webhooks-list li")).to_contain_text("Failed · 1 attempt")
        expect(seen(page, "the answer was 500")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shot(page, "webhooks-phone")

        page.get_by_role("button", name="Send again: Data set changed").click()
        receiver.wait_for("dataset.changed")
        until(lambda: notifying.client.get("/webhooks?status=delivered").json()["deliveries"] != [])
        page.locator("#webhooks-status").select_option("delivered")
        expect(page.locator("#webhooks-list li")).to_contain_text("Delivered · 1 attempt")

        page.get_by_role("button", name="Send a test event").click()
        receiver.wait_for("webhook.test")


@pytest.mark.browser
def test_without_a_url_a_german_reads_how_to_set_one(browser: Browser, keeper: Service) -> None:
    with visiting(browser, keeper.app.state.settings.address, "de-DE") as page:
        page.get_by_role("link", name="Webhooks").click()
        page.locator("dialog input").fill(ADMIN_KEY)
        page.locator("dialog button.first").click()

        expect(seen(page, "Keine URL ist gesetzt.")).to_be_visible()
        expect(page.get_by_role("button", name="Testereignis senden")).to_be_hidden()
