"""A real browser on the page, with checks for what the page must never do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.app.service import ADMIN_KEY
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a moving pattern
    "--use-fake-ui-for-media-stream",
]
EXPECTED = ("Failed to load resource", "blocked by CORS policy")  # what the page tells its user
SCREENSHOTS = ROOT / ".screenshots" if os.environ.get("SCREENSHOTS") else None

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    locale: str = "en-GB",
    elsewhere: str | None = None,
    path: str = "/",
    **options: Any,
) -> Iterator[Page]:
    """A new tab with a page of the service.

    Afterwards, checks that it requested no other server than `elsewhere` and threw no error.

    Anything that the content security policy blocks is a console error, and so a failure here. An error status of an
    address is a console error too, but isn't a fault of the page.
    """
    faults: list[str] = []

    def watch_request(request: Request) -> None:
        if not request.url.startswith((f"{address}/", f"blob:{address}/", "data:", elsewhere or "data:")):
            faults.append(f"asked {request.url}")
        if ADMIN_KEY in request.url:
            faults.append(f"the key in {request.url}")

    def watch_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in EXPECTED):
            faults.append(message.text)

    with browser.new_context(base_url=address, locale=locale, **options) as context:
        context.set_default_timeout(1000 * PATIENCE_SECONDS)
        page = context.new_page()
        page.on("request", watch_request)
        page.on("console", watch_console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path)
        yield page
    assert not faults, faults


def give_key(page: Page, key: str = ADMIN_KEY) -> None:
    """Enter the key in the dialog."""
    page.get_by_role("dialog").get_by_label("Key").fill(key)
    page.get_by_role("dialog").get_by_role("button", name="Go on").click()


def seen(page: Page, text: str) -> Locator:
    """Visible text of the page, not what is only for screen readers."""
    return page.get_by_role("main").get_by_text(text)


def file(name: str, content: bytes, media_type: str = "image/jpeg") -> Any:
    """A file for a file input of the page."""
    return {"name": name, "mimeType": media_type, "buffer": content}


def shot(page: Page, name: str) -> None:
    """Save a screenshot for people to look at, if the variable SCREENSHOTS is set."""
    if SCREENSHOTS:
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
