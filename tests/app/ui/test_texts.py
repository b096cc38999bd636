"""Texts of the page: complete in every language, chosen by the browser, and never written into a view."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.ui.routes import FOLDER
from tests.app.service import ADMIN_KEY, Service
from tests.app.ui.browsing import file, seen, visiting
from tests.app.ui.filled import filled_service

Texts = dict[str, dict[str, str | dict[str, str]]]

LANGUAGES = ("en", "de")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
FIXED = re.compile(r"""\bt\((?:[^()"`]*\? )?"(\w+\.[^"]+)"(?: : "(\w+\.[^"]+)")?|data-t[\w-]*="(\w+\.[^"]+)\"""")
MADE = re.compile(r"(?:\bt|known)\(`(\w+\.[\w-]*)\$\{")

# Visible texts that aren't the page's own: names that users gave, and what the service says.
DATA = re.compile(
    r"catdog|\b(?:cats?|dogs?|fish|pets|head|finetune|full|random|CSV|ZIP|Mar|[AP]M)\b|\S+\.(?:jpg|png)|p = [\d.e-]+",
    re.IGNORECASE,
)
MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
LETTERS = re.compile(r"[A-Za-z]{2,}")
VISIBLE = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        const isOwn = parent.checkVisibility() && !parent.closest("noscript, code, body [lang]");
        if (isOwn) found.push(walker.currentNode.textContent);
    }
    for (const element of document.querySelectorAll("body *")) {
        if (!element.checkVisibility()) continue;
        for (const name of ["aria-label", "placeholder", "title", "alt"]) found.push(element.getAttribute(name) ?? "");
    }
    return found;
}"""


def texts(language: str) -> Texts:
    loaded: Texts = json.loads((FOLDER / "texts" / f"{language}.json").read_text("utf-8"))
    return loaded


def keys(language: str) -> set[str]:
    return {f"{group}.{name}" for group, named in texts(language).items() for name in named}


def forms(text: str | dict[str, str]) -> dict[str, str]:
    return {"other": text} if isinstance(text, str) else text


def sources() -> dict[Path, str]:
    """The page's own files that show texts."""
    return {path: path.read_text("utf-8") for path in FOLDER.rglob("*.*") if path.suffix in (".js", ".html")}


def test_every_language_has_a_file_that_the_page_offers() -> None:
    offered = re.search(r"LANGUAGES = (\[.*?\])", (FOLDER / "parts" / "texts.js").read_text("utf-8"))

    assert offered is not None
    assert json.loads(offered[1]) == list(LANGUAGES)
    assert {path.stem for path in (FOLDER / "texts").iterdir()} == set(LANGUAGES)


def test_every_text_is_there_in_every_language_with_the_same_values() -> None:
    first, *others = LANGUAGES
    for other in others:
        assert keys(first) ^ keys(other) == set()
        for group, named in texts(first).items():
            for name, text in named.items():
                mine, its = forms(text), forms(texts(other)[group][name])
                assert set(mine) == set(its), f"{group}.{name}: other plural forms"
                for form in mine:
                    assert set(PLACEHOLDER.findall(mine[form])) == set(PLACEHOLDER.findall(its[form])), (
                        f"{group}.{name}"
                    )
                    assert its[form].strip(), f"{group}.{name} is empty"


def test_every_text_is_used_and_every_used_one_exists() -> None:
    fixed = {key for source in sources().values() for found in FIXED.findall(source) for key in found if key}
    made = tuple(beginning for source in sources().values() for beginning in MADE.findall(source))

    assert fixed - keys("en") == set()
    assert {key for key in keys("en") - fixed if not key.startswith(made)} == set()


def marked(route: Route) -> None:
    """The English texts, each between marks."""
    route.fulfill(
        json={group: {name: _marked(text) for name, text in named.items()} for group, named in texts("en").items()}
    )


def _marked(text: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(text, dict):
        return {form: str(_marked(one)) for form, one in text.items()}
    return "`".join(part if place % 2 else f"⟦{part}⟧" for place, part in enumerate(text.split("`")))  # `code`


def literal(page: Page) -> list[str]:
    """Visible texts of the page that are in no file of texts."""
    found = []
    for text in page.evaluate(VISIBLE):
        rest, before = text, None
        while rest != before:  # marks are inside each other
            rest, before = MARKED.sub("", rest), rest
        if LETTERS.search(DATA.sub("", rest)):
            found.append(text)
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with filled_service(tmp_path_factory.mktemp("filled")) as service:
        yield service


@pytest.mark.browser
def test_no_view_has_a_text_of_its_own(browser: Browser, service: Service, jpeg: bytes) -> None:
    with visiting(browser, service.app.state.settings.address) as page:
        page.route("**/texts/en.json", marked)
        page.goto("/")
        page.reload()
        page.get_by_label("Choose photos").set_input_files([file("one.jpg", jpeg), file("broken.jpg", b"")])
        expect(seen(page, "Looking at")).to_have_count(0)
        assert literal(page) == []
        page.get_by_label("Choose photos").set_input_files([file(f"{n}.jpg", jpeg) for n in range(4)])
        expect(page.locator("#answers-summary")).not_to_contain_text("waiting")
        assert literal(page) == []

        page.get_by_role("link", name="Teach").click()
        expect(page.locator(".outcome")).to_contain_text("Not promoted: ")
        assert literal(page) == []
        page.get_by_role("link", name="Models").click()
        page.get_by_role("button", name="Details of version 2").click()
        expect(page.locator("#version table")).not_to_have_count(0)
        assert literal(page) == []
        page.get_by_role("link", name="Review").click()
        assert literal(page) == []
        page.get_by_role("dialog").get_by_role("textbox").wait_for()
        assert literal(page) == []
        page.get_by_role("dialog").get_by_role("textbox").fill(ADMIN_KEY)
        page.get_by_role("dialog").get_by_role("textbox").press("Enter")
        page.goto("/#gallery/pets")
        page.locator("#gallery summary").click()
        expect(page.locator("#tile-0 img")).to_be_visible()
        assert literal(page) == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("wanted", "language", "heading"),
    [("de-CH", "de", "Cat oder dog?"), ("en-GB", "en", "Cat or dog?"), ("fr-FR", "en", "Cat or dog?")],
)
def test_the_browser_chooses_the_language(
    browser: Browser, service: Service, wanted: str, language: str, heading: str
) -> None:
    with browser.new_context(base_url=service.app.state.settings.address, locale=wanted) as context:
        page = context.new_page()
        page.goto("/")

        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator("html")).to_have_attribute("lang", language)
