"""Many photos: a person reads a summary, filters and sorts a grid, looks at details, and saves a table."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.app.service import Service, encoded
from tests.app.ui.browsing import file, seen, shot, visiting

pytestmark = pytest.mark.browser

PHOTOS = 60
SCREEN = {"width": 1280, "height": 800}


def photos(number: int) -> list[Any]:
    """Small pictures of one colour each, one of which is broken, with a name that a spreadsheet would run."""
    colours = [(40 * n % 256, 90 * n % 256, 17 * n % 256) for n in range(number - 1)]
    made = [file(f"{n}.png", encoded(Image.new("RGB", (32, 24), colour), "PNG")) for n, colour in enumerate(colours)]
    return [*made, file("=1+1.png", b"broken")]


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address, viewport=SCREEN, accept_downloads=True) as page:
        yield page


def choose(page: Page, number: int) -> None:
    page.get_by_label("Choose photos").set_input_files(photos(number))
    expect(page.locator("#answers-summary")).not_to_contain_text("waiting")
    expect(page.locator("#answers-summary")).to_contain_text("1 broken")


def tiles(page: Page) -> Any:
    return page.get_by_role("list", name="Answers").locator("> .tile")


def answers(service: Service, number: int) -> list[dict[str, Any]]:
    """What the service says of the photos that aren't broken."""
    return [service.client.post("/predict", content=one["buffer"]).json() for one in photos(number)[:-1]]


def test_many_photos_are_summed_up_and_fit_in_two_screens(page: Page, keeper: Service) -> None:
    labels = [answer["label"] for answer in answers(keeper, PHOTOS)]
    counts = {label: labels.count(label) for label in ("cat", "dog")}
    nouns = [f"{number} {label}{'s' * (number > 1)}" for label, number in counts.items() if number]

    choose(page, PHOTOS)

    expect(page.locator("#answers-summary")).to_have_text(", ".join([*nouns, "1 broken"]))
    expect(tiles(page)).to_have_count(PHOTOS)
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * SCREEN["height"]
    shot(page, "many")


def test_many_photos_fit_in_two_screens_of_a_phone(browser: Browser, keeper: Service) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visiting(browser, keeper.app.state.settings.address, **phone) as page:
        choose(page, PHOTOS)

        shot(page, "many-phone")
        assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 844


def test_the_grid_is_filtered_and_sorted(page: Page, keeper: Service) -> None:
    said = answers(keeper, 10)
    choose(page, 10)
    expect(tiles(page).first).to_contain_text("broken")

    page.locator("#ask").get_by_label("Order").select_option("least sure")
    least = min(said, key=lambda answer: answer["probability"])
    expect(tiles(page).nth(1)).to_contain_text(f"{least['label']} {int(100 * least['probability'])}%")
    page.locator("#ask").get_by_label("Order").select_option("name")
    expect(tiles(page).locator("button").first).to_have_attribute("title", "=1+1.png")
    page.locator("#ask").get_by_label("Show").select_option("broken")
    expect(tiles(page)).to_have_count(1)
    page.locator("#ask").get_by_label("Show").select_option(said[0]["label"])
    expect(tiles(page)).to_have_count([answer["label"] for answer in said].count(said[0]["label"]))


def test_a_click_on_a_photo_shows_its_details_and_another_one_closes_them(page: Page) -> None:
    choose(page, 10)

    page.get_by_role("button", name="3.png: ").click()

    expect(seen(page, "3.png · version 1")).to_be_visible()
    expect(page.get_by_role("group", name="What it really is")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("group", name="What it really is")).to_have_count(0)
    expect(page.get_by_role("button", name="3.png: ")).to_be_focused()
    page.get_by_role("button", name="=1+1.png: ").click()
    expect(seen(page, "This file isn’t a picture that can be read.")).to_be_visible()


def test_the_answers_are_saved_as_a_table_that_runs_no_formula(page: Page, keeper: Service) -> None:
    said = {f"{place}.png": answer for place, answer in enumerate(answers(keeper, 10))}
    choose(page, 10)

    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()

    assert saved.value.suggested_filename == "answers.csv"
    rows = list(csv.DictReader(StringIO(Path(saved.value.path()).read_text("utf-8"))))
    assert [row["file"] for row in rows] == ["'=1+1.png", *(f"{n}.png" for n in reversed(range(9)))]
    assert rows[0]["problem"].startswith("This file isn’t a picture")
    for row in rows[1:]:
        answer = said[row["file"]]
        assert row["answer"] == answer["label"]
        assert float(row["probability"]) == pytest.approx(answer["probability"])
        assert float(row["probability of dog"]) == pytest.approx(answer["probabilities"]["dog"])


def test_cleared_answers_are_gone(page: Page) -> None:
    choose(page, 10)

    page.get_by_role("button", name="Clear").click()

    expect(tiles(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Clear")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
