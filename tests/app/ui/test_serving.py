"""The files of the page over HTTP, without a browser."""

import json
import re
import tomllib
from posixpath import dirname, join, normpath

import pytest
from playwright.sync_api import Browser, expect

from app.ui.routes import NAMES, asset_of
from tests.app.service import Service
from tests.app.ui.browsing import visiting
from tests.app.web.test_problem_details import check
from tests.places import ROOT

PAGES = ("/", "/docs")
TEXTS = {name: asset_of(name).content.decode() for name in NAMES if asset_of(name).packed is not None}
LARGEST_BYTES = 150_000  # of the page without its pictures, as sent
SENT = """() => {
    const found = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
    return Object.fromEntries(found.map(({ name, transferSize }) => [name, transferSize]));
}"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_lets_the_browser_load_nothing_from_elsewhere(service: Service, path: str) -> None:
    page = service.client.get(path)

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_file_of_the_page_names_another_place_or_makes_markup_of_text(name: str) -> None:
    content = TEXTS[name]

    assert set(re.findall(r"https?://[^\"'\s)]+", content)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", content)
    assert 'style="' not in content


def test_every_file_that_another_names_is_there(service: Service) -> None:
    named = set()
    for name, text in TEXTS.items():
        named |= set(re.findall(r'"page/([\w./-]+)"', text))
        if name.endswith(".webmanifest"):
            named |= set(re.findall(r'"src": "([\w./-]+)"', text))
        imported = re.findall(r'^import .* from "([\w./]+)"', text, re.MULTILINE)
        named |= {normpath(join(dirname(name), other)) for other in imported}

    languages = {name for name in NAMES if name.startswith(("texts/", "sentences/"))}  # tests/app/ui/test_texts.py
    assert named == NAMES - {"index.html", "docs.html"} - languages
    for name in named:
        assert service.client.get(f"/page/{name}").status_code == 200


def test_a_file_is_sent_compressed_to_clients_that_can_read_it(service: Service) -> None:
    plain, packed = (
        service.client.get("/page/page.js", headers={"Accept-Encoding": accepted}) for accepted in ("identity", "gzip")
    )

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


@pytest.mark.browser
def test_the_page_is_light(browser: Browser, service: Service) -> None:
    with visiting(browser, service.app.state.settings.address, "de") as page:
        expect(page.locator("#champion")).to_contain_text("Version")
        sent: dict[str, int] = page.evaluate(SENT)

    pictures = sum(size for address, size in sent.items() if address.endswith((".jpg", ".png")))
    assert sum(sent.values()) - pictures < LARGEST_BYTES


def test_scripts_and_styles_say_what_they_are(service: Service) -> None:
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert service.client.get(f"/page/{name}").headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize("path", [*PAGES, "/page/page.js"])
def test_what_the_browser_has_is_not_sent_again(service: Service, path: str) -> None:
    first = service.client.get(path)

    again = service.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    other = service.client.get(path, headers={"If-None-Match": '"of another version"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (other.status_code, other.content) == (200, first.content)


def test_a_page_can_be_asked_for_its_head(service: Service) -> None:
    assert (service.client.head("/").status_code, service.client.head("/").content) == (200, b"")


@pytest.mark.parametrize("path", ["/page/nothing.js", "/page/..%2Fmain.py", "/page/__init__.py", "/redoc"])
def test_nothing_else_is_served(service: Service, path: str) -> None:
    check(service.client.get(path), "not-found", 404)


def test_the_page_is_part_of_the_package() -> None:
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]

    assert "app*" in packaging["packages"]["find"]["include"]
    assert packaging["package-data"]["app.ui"] == ["static/**"]


@pytest.mark.browser
def test_the_page_can_be_installed(browser: Browser, service: Service) -> None:
    with visiting(browser, service.app.state.settings.address) as page:
        chromium = page.context.new_cdp_session(page)
        manifest = chromium.send("Page.getAppManifest")
        found = chromium.send("Page.getInstallabilityErrors")["installabilityErrors"]

    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["name"] == "catdog"
    assert [error["errorId"] for error in found if error["errorId"] != "in-incognito"] == []  # a test's tab is private
