"""Accessibility of the page: keyboard, screen reader, phone, dark mode."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.app.service import Service
from tests.app.ui.browsing import file, give_key, seen, shot, visiting

pytestmark = pytest.mark.browser

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}
SECTIONS = ("Ask", "Teach", "Models", "Review")
NAME_OF_FOCUSED = """(() => {
    const focused = document.activeElement;
    return focused.ariaLabel || focused.textContent.trim() || focused.id;
})()"""
SERIOUS = ("serious", "critical")


@pytest.fixture(params=[pytest.param("light", marks=pytest.mark.whole), "dark", "phone"])
def look(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def page(browser: Browser, keeper: Service, look: str) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address, **LOOKS[look]) as page:
        yield page


def check(page: Page) -> None:
    """Check that axe finds nothing serious, and that nothing is wider than the page."""
    found = Axe().run(page).response["violations"]
    serious = [f"{one['id']}: {node['html']}" for one in found if one["impact"] in SERIOUS for node in one["nodes"]]

    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_section_is_fit_for_everybody(page: Page, keeper: Service, look: str, jpeg: bytes) -> None:
    keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": jpeg})
    page.get_by_label("Choose photos").set_input_files([file("one.jpg", jpeg), file("broken.jpg", b"")])
    expect(seen(page, "Looking at")).to_have_count(0)
    for section in SECTIONS:
        page.get_by_role("link", name=section, exact=True).click()
        if section == "Models":
            page.get_by_role("button", name="Details of version 1").click()
            expect(page.locator("#version").get_by_role("heading", name="Version 1")).to_be_visible()
        if section == "Review":
            check(page)  # with the dialog for the key
            give_key(page)
            expect(page.get_by_role("group", name="Picture 1 of")).to_be_focused()
            check(page)
            page.locator("#review-way").select_option("together")
            expect(page.get_by_role("list", name="Pictures to label")).to_be_visible()
        check(page)
        shot(page, f"{section.lower()}-{look}")


def test_the_addresses_are_fit_for_everybody(browser: Browser, service: Service, look: str) -> None:
    with visiting(browser, service.app.state.settings.address, path="/docs", **LOOKS[look]) as page:
        for name in ("POST /feedback", "POST /predict/batch", "GET /retrain/{job}/events"):
            seen(page, name).click()

        check(page)
        shot(page, f"docs-{look}")


def test_it_can_be_used_by_the_keyboard_alone(browser: Browser, keeper: Service, jpeg: bytes) -> None:
    with visiting(browser, keeper.app.state.settings.address) as page:
        with page.expect_file_chooser() as chosen:  # from the start, because the browser reports it late
            walked = []
            for _ in range(11):
                page.keyboard.press("Tab")
                walked.append(page.evaluate(NAME_OF_FOCUSED))
            samples = [f"Try the sample {name}" for name in ("cat", "dog", "teapot")]
            assert walked == ["Skip to the content", *SECTIONS, "ask-files", "Use the webcam", *samples, "API"]
            for _ in range(len(samples) + 2):
                page.keyboard.press("Shift+Tab")
            page.keyboard.press("Enter")
        chosen.value.set_files(file("one.jpg", jpeg))
        expect(page.get_by_role("heading", level=2)).to_be_visible()

        page.get_by_role("button", name="cat", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_label("Key")).to_be_focused()
        page.keyboard.type(keeper.client.headers["Authorization"].removeprefix("Bearer "))
        page.keyboard.press("Enter")
        expect(seen(page, "Kept as cat")).to_be_visible()
        expect(page.get_by_role("button", name="cat", exact=True)).to_be_focused()


def test_an_answer_is_said_aloud(browser: Browser, keeper: Service, jpeg: bytes) -> None:
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_label("Choose photos").set_input_files(file("one.jpg", jpeg))
        label = keeper.client.post("/predict", content=jpeg).json()["label"]

        expect(page.locator("#said")).to_contain_text(f"one.jpg: {label}, ")
        expect(page.locator("#said")).to_have_attribute("role", "status")


def test_another_section_is_heard_of_and_can_be_linked_to(browser: Browser, keeper: Service) -> None:
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", name="Models")).to_be_focused()
        expect(page).to_have_title("Models – catdog")
        expect(page.get_by_role("link", name="Models")).to_have_attribute("aria-current", "page")

        page.reload()
        expect(page.get_by_role("heading", name="Models")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Cat or dog?")
