"""Nothing is cut off or scrolls sideways, from a small phone to a large screen, in any view and theme."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.app.service import ADMIN_KEY, Service
from tests.app.ui.browsing import file, shot, visiting
from tests.app.ui.filled import LONG, filled_service

pytestmark = [pytest.mark.browser, pytest.mark.whole]  # 2 to 12 s a look: every view at every width

WIDTHS = (360, 390, 480, 600, 768, 952, 1024, 1280, 1600, 1920)
SHOTS = (390, 952, 1280)
SERIOUS = ("serious", "critical")

# Elements wider than what they are in: the page, or a parent that cuts them off or scrolls.
TOO_WIDE = """() => {
    const found = [...document.querySelectorAll("body *")].filter((element) => {
        if (!element.checkVisibility() || element.closest(".unseen, pre, .button input, .skip")) return false;
        const { left, right, width } = element.getBoundingClientRect();
        const isOutside = width > 0 && (left < -1 || right > document.documentElement.clientWidth + 1);
        const { display, overflowX } = getComputedStyle(element);
        const isCut = element.scrollWidth > element.clientWidth + 1 && display !== "inline" && overflowX !== "visible";
        return isOutside || isCut;
    });
    return found.map(({ tagName, id, className, textContent }) => `${tagName} ${id} ${className} ${textContent}`);
}"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with filled_service(tmp_path_factory.mktemp("filled")) as service:
        yield service


def check(page: Page, name: str) -> None:
    """At every width; with pictures and axe at those that are looked at."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width} pixels"
        assert page.evaluate(TOO_WIDE) == [], f"{name} at {width} pixels"
        if width in SHOTS:
            shot(page, f"{name}-{width}")
        if width in (390, 1280):
            found = Axe().run(page).response["violations"]
            nodes = [
                f"{one['id']}: {node['html']}" for one in found if one["impact"] in SERIOUS for node in one["nodes"]
            ]
            assert nodes == [], f"{name} at {width} pixels"


@dataclass
class Look:
    """How a person sees the page."""

    theme: Any
    language: str

    def __str__(self) -> str:
        return f"{self.theme}-{self.language}"


LOOKS = (Look("light", "en"), Look("dark", "de"), Look("dark", "en"), Look("light", "de"))


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    found: Look = request.param
    return found


@pytest.fixture
def page(browser: Browser, filled: Service, look: Look) -> Iterator[Page]:
    with visiting(browser, filled.app.state.settings.address, look.language, color_scheme=look.theme) as page:
        yield page


def go(page: Page, section: str) -> None:
    page.locator(f"nav a[href='#{section}']").click()


def test_every_view_fits_every_width(page: Page, look: Look, jpeg: bytes) -> None:
    check(page, f"ask-{look}")
    page.locator("#ask-files").set_input_files([file(LONG, jpeg), file(f"broken {LONG}", b"")])
    expect(page.locator("#answers .fault")).to_be_visible()
    page.locator(".looked button").click()
    check(page, f"answers-{look}")
    page.locator("#ask-files").set_input_files([file(f"{n}.jpg", jpeg) for n in range(4)])
    expect(page.locator("#answers .tile", has_text="…")).to_have_count(0)
    page.get_by_role("button", name="2.jpg: ").click()
    check(page, f"grid-{look}")

    go(page, "teach")
    expect(page.locator(".outcome table")).to_be_visible()
    page.locator(".curves summary").click()
    check(page, f"teach-{look}")

    go(page, "models")
    expect(page.locator("#versions > li")).to_have_count(2)
    check(page, f"models-{look}")
    page.locator("#versions > li", has_text="Version 2").get_by_role("button").last.click()
    expect(page.locator("#version table").first).to_be_visible()
    check(page, f"version-{look}")
    page.locator("#compare button").click()
    expect(page.locator("#version table").last.locator("tbody tr")).to_have_count(5)  # of the same photos
    check(page, f"compared-{look}")

    go(page, "review")
    page.locator("dialog input").fill(ADMIN_KEY)
    page.locator("dialog button.first").click()
    expect(page.locator("#reviewed .card")).to_be_visible()
    check(page, f"review-{look}")
    page.locator("#review-way").select_option("together")
    expect(page.locator("#reviewed .together")).to_be_visible()
    check(page, f"review-together-{look}")


def test_the_api_page_fits_every_width(page: Page, look: Look) -> None:
    page.goto("/docs")
    for name in ("POST /feedback", "POST /predict", "GET /retrain/{job}/events"):
        page.locator("summary", has=page.get_by_text(name, exact=True)).click()
    check(page, f"docs-{look}")
