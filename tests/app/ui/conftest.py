"""Fixtures for the tests of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.service import Service
from tests.app.ui.browsing import ARGUMENTS, CHROMIUM, visiting


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. It ends before tests outside this package run: its driver occupies the main thread's event loop."""
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Chromium, which Debian's package `chromium` brings")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as it:
        yield it


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    """A tab with the page of a service with its own data."""
    with visiting(browser, keeper.app.state.settings.address) as page:
        yield page
