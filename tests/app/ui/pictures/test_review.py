"""Review: a person labels the least sure answers, with one key each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from catdog.versions.measurements import Histogram
from tests.app.service import Service, encoded, publish, serving
from tests.app.ui.browsing import give_key, seen, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser

PHOTOS = 3
MANY = (("cat", False), ("cat", False), ("cat", False), ("dog", False), ("dog", True))  # as the service lists them


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    """The section Review with three photos."""
    for shade in range(PHOTOS):
        keeper.client.post("/predict", content=encoded(Image.new("L", (16, 16), 80 * shade), "PNG"))
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Review").click()
        give_key(page)
        expect(page.get_by_role("group", name=f"Picture 1 of {PHOTOS}")).to_be_focused()
        yield page


def at(page: Page, number: int) -> None:
    expect(page.get_by_role("group", name=f"Picture {number} of {PHOTOS}")).to_be_focused()


def labelled(service: Service) -> dict[str, int]:
    found: dict[str, int] = {}
    for dataset in service.client.get("/datasets").json()["datasets"]:
        for split in dataset["counts"].values():
            for label, number in split.items():
                found[label] = found.get(label, 0) + number
    return found


def test_each_picture_takes_one_key(page: Page, keeper: Service) -> None:
    shown = page.get_by_role("img", name="What version 1 was unsure of")
    expect(shown).to_have_js_property("naturalWidth", 16)

    page.keyboard.press("2")
    at(page, 2)
    page.keyboard.press("1")
    at(page, 3)
    assert labelled(keeper) == {"cat": 1, "dog": 1}
    page.keyboard.press("0")

    expect(seen(page, "That was the last one")).to_be_visible()
    assert labelled(keeper) == {"cat": 1, "dog": 1, "neither": 1}
    assert keeper.client.get("/review").json()["items"] == []


def test_a_slip_is_put_right_by_going_back(page: Page, keeper: Service) -> None:
    page.keyboard.press("2")
    at(page, 2)
    page.keyboard.press("b")
    at(page, 1)
    page.keyboard.press("1")
    at(page, 2)
    assert labelled(keeper) == {"cat": 1}

    page.keyboard.press("b")
    at(page, 1)
    page.keyboard.press("0")
    at(page, 2)
    assert labelled(keeper) == {"neither": 1}


def test_the_keys_mean_nothing_outside_the_picture_s_box(page: Page, keeper: Service) -> None:
    page.get_by_role("link", name="Review").focus()
    page.keyboard.press("2")
    page.get_by_role("button", name="cat").click()
    at(page, 2)

    assert labelled(keeper) == {"cat": 1}


def test_where_nothing_waits_that_is_said(page: Page, keeper: Service) -> None:
    for number in range(1, PHOTOS + 1):
        page.keyboard.press("1")
        if number < PHOTOS:
            at(page, number + 1)
    expect(seen(page, "That was the last one")).to_be_visible()

    page.get_by_role("button", name="Look for more").click()

    expect(seen(page, "Nothing to look at")).to_be_visible()


def test_review_warns_of_drift(browser: Browser, tmp_path: Path) -> None:
    publish(tmp_path, histograms={"probability": Histogram(edges=(2.0,), photos=(1, 10_000))})
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        with visiting(browser, service.app.state.settings.address) as page:
            page.get_by_role("link", name="Review").click()
            give_key(page)
            expect(seen(page, "Nothing to look at")).to_be_visible()
            expect(seen(page, "In the last hour the photos differed")).to_be_hidden()
            for shade in range(PHOTOS):
                service.client.post("/predict", content=encoded(Image.new("L", (16, 16), 80 * shade), "PNG"))

            page.get_by_role("button", name="Look for more").click()

            expect(seen(page, "In the last hour the photos differed")).to_be_visible()


def test_a_picture_is_shown_with_the_reason_and_classes_take_turns(browser: Browser, keeper: Service) -> None:
    answers = [
        keeper.client.post(
            "/predict", content=encoded(Image.new("RGB", (16, 16), (40 * n, 250 - 40 * n, 99)), "PNG")
        ).json()
        for n in range(6)
    ]
    least = min(answers, key=lambda answer: answer["probability"])
    (_, most), (_, other) = sorted(least["probabilities"].items(), key=lambda item: -item[1])
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Review").click()
        give_key(page)

        shown = page.get_by_role("group", name="Picture 1 of 6")
        expect(shown).to_contain_text(f"It is here because the model was unsure: {least['label']} {100 * most:.1f}%")
        expect(shown).to_contain_text(f"{100 * other:.1f}%.")


def test_the_order_is_mixed(page: Page) -> None:
    """Two classes with the least sure of each first, and the unknown ones among them."""
    items = [{"prediction": {"label": label, "unknown": unknown}} for label, unknown in MANY]

    mixed = page.evaluate(
        """async (items) => {
            const { mixed } = await import("/page/pictures/review.js");
            return mixed(items).map(({ prediction }) => prediction);
        }""",
        items,
    )

    assert [(one["label"], one["unknown"]) for one in mixed] == [
        ("cat", False),
        ("dog", False),
        ("dog", True),
        ("cat", False),
        ("cat", False),
    ]
