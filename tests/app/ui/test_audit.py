"""The audit log on the page, for admins."""

import pytest
from playwright.sync_api import Browser, expect

from tests.app.access.test_audit import READING, settle
from tests.app.access.test_matrix import ROLES
from tests.app.service import ADMIN_KEY, Service
from tests.app.ui.browsing import give_key, seen, shot, visiting
from tests.app.ui.filled import LONG
from tests.app.ui.test_texts import texts


def test_every_action_has_a_text_in_every_language() -> None:
    audited = {" ".join(address) for address in ROLES if address.method != "GET" and address not in READING}

    for language in ("en", "de"):
        assert audited - texts(language)["action"].keys() == set()


@pytest.mark.browser
def test_an_admin_sees_who_changed_what(browser: Browser, keeper: Service) -> None:
    settle(keeper)
    name = "x" * 64
    keeper.client.post("/datasets", json={"name": name}).raise_for_status()
    keeper.client.patch(f"/datasets/{name}", json={"name": "pets"}).raise_for_status()
    assert keeper.client.post(f"/datasets/{LONG}/changes", headers={"Authorization": "Bearer no"}).status_code == 401
    with visiting(browser, keeper.app.state.settings.address, viewport={"width": 360, "height": 740}) as page:
        page.get_by_role("link", name="Audit log").click()
        give_key(page)

        expect(seen(page, f"Data set {name} renamed or merged")).to_be_visible()
        expect(page.locator("#audit-entries li").first).to_contain_text("Failed (401): Pictures of")
        expect(page.locator("#audit-entries li").first).to_contain_text("no valid key · 127.0.0.1")
        expect(page.locator("#audit-entries li").nth(1)).to_contain_text('to: {"dataset":"pets"}')
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shot(page, "audit-phone")

        page.get_by_label("Action contains").fill("PATCH")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("#audit-entries li")).to_have_count(1)
        expect(page.locator("#audit-entries li")).to_contain_text("admin key")


@pytest.mark.browser
def test_older_entries_follow_and_a_german_reads_german(browser: Browser, keeper: Service) -> None:
    for n in range(51):
        keeper.client.post("/datasets", json={"name": f"set-{n}"}).raise_for_status()
    with visiting(browser, keeper.app.state.settings.address, "de-DE") as page:
        page.get_by_role("link", name="Änderungsprotokoll").click()
        page.locator("dialog input").fill(ADMIN_KEY)
        page.locator("dialog button.first").click()
        page.get_by_label("Aktion enthält").fill("POST /datasets")
        page.get_by_role("button", name="Zeigen", exact=True).click()
        expect(page.locator("#audit-entries li")).to_have_count(50)
        expect(page.locator("#audit-entries li").first).to_contain_text("Datensatz angelegt")

        page.get_by_role("button", name="Ältere zeigen").click()
        expect(page.locator("#audit-entries li")).to_have_count(51)
        expect(page.get_by_role("button", name="Ältere zeigen")).to_be_hidden()
