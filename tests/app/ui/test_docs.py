"""The API page: shows the addresses of the OpenAPI document, and sends requests to them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.service import ADMIN_KEY, Service
from tests.app.ui.browsing import file, give_key, visiting
from tests.app.ui.filled import filled_service
from tests.places import ROOT

pytestmark = pytest.mark.browser

POSTED = ["POST /predict", "POST /predict/batch", "POST /datasets/{name}/images", "POST /retrain"]


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address, path="/docs") as page:
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
    expect(page.get_by_role("region", name="As a command")).to_contain_text('curl "http://127.0.0.1:')


@pytest.mark.whole
def test_the_examples_work_as_shown(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "app").symlink_to(ROOT / "app")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_text(ADMIN_KEY)
    with (
        filled_service(tmp_path / "service") as service,
        visiting(browser, service.app.state.settings.address, path="/docs") as page,
    ):
        (tmp_path / "service" / "models" / "1" / "report" / "evaluation.json").write_text("{}")  # of a real training
        expect(page.locator("summary").first).to_be_visible()
        names = page.locator("summary > code").all_inner_texts()
        names = [name for name in names if name.startswith("GET ") and "ids" not in name] + POSTED
        for summary in page.locator("summary").all():
            summary.click()
        for name in names:
            address = page.locator("details", has=page.locator("summary > code").get_by_text(name, exact=True))
            command = address.get_by_role("region", name="As a command").inner_text()
            if "{" in command:  # no service knows it in advance, such as the sha256 of a picture
                continue
            done = subprocess.run(["bash", "-c", f"{command} -sS --fail-with-body"], cwd=tmp_path, capture_output=True)
            assert done.returncode == 0, f"{command}: {done.stdout!r} {done.stderr!r}"


def test_an_address_shows_the_role_that_it_needs(page: Page) -> None:
    for name, roles in (("POST /rollback", ["role: admin"]), ("POST /feedback", ["role: label"]), ("GET /model", [])):
        summary = page.locator("summary", has=page.get_by_text(name, exact=True))
        expect(summary.get_by_text("role: ")).to_have_text(roles)


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
