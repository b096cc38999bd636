"""The API page: shows the addresses of the OpenAPI document, and sends requests to them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.service import Service
from tests.app.ui.browsing import file, give_key, visiting

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.goto("/docs")
        yield page


def opened(page: Page, name: str) -> None:
    page.locator("summary", has=page.get_by_text(name, exact=True)).click()


def test_every_address_is_there_with_what_it_does(page: Page, keeper: Service) -> None:
    paths = keeper.client.get("/openapi.json").json()["paths"]
    named = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}

    expect(page.locator("summary > code")).to_have_count(len(named))
    assert set(page.locator("summary > code").all_inner_texts()) == named
    for summary in page.locator("summary").all():
        assert summary.locator(".about").inner_text()


def test_an_address_says_what_it_takes_and_answers(page: Page) -> None:
    opened(page, "GET /retrain")

    expect(page.get_by_role("table", name="Parameters of GET /retrain")).to_contain_text("limit")
    expect(page.get_by_role("table", name="Statuses of GET /retrain")).to_contain_text("503")
    expect(page.get_by_role("region", name="As a command")).to_contain_text("curl http://127.0.0.1:")


def test_a_photo_can_be_sent_from_there(page: Page, jpeg: bytes) -> None:
    opened(page, "POST /predict")
    page.get_by_label("file", exact=True).set_input_files(file("one.jpg", jpeg))
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("region", name="What was answered")).to_contain_text('"model_version": 1')


def test_what_needs_the_key_asks_for_it(page: Page) -> None:
    opened(page, "GET /review")
    page.get_by_role("button", name="Send").click()
    give_key(page)

    expect(page.get_by_role("region", name="What was answered")).to_contain_text('"items": []')


def test_a_refusal_is_shown(page: Page) -> None:
    opened(page, "GET /models/{version}")
    page.get_by_label("version", exact=True).fill("77")
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("region", name="What was answered")).to_contain_text("77")
