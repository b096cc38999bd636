"""Ask: a person says what a picture really is, and the page keeps it."""

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.app.service import Service, encoded
from tests.app.ui.ask.test_ask import cards, choose
from tests.app.ui.browsing import file, give_key, seen

pytestmark = pytest.mark.browser


def test_what_a_picture_really_was_is_taught_with_the_key_asked_for_once(
    page: Page, keeper: Service, jpeg: bytes
) -> None:
    choose(page, file("one.jpg", jpeg), file("two.png", encoded(Image.new("RGB", (9, 9), "teal"), "PNG")))
    cards(page)
    newer, older = (page.get_by_role("group", name="What it really is").nth(place) for place in (0, 1))

    newer.get_by_role("button", name="dog").click()
    give_key(page, "this is not the key of the tests")
    expect(page.get_by_role("dialog")).to_contain_text("That key is wrong")
    give_key(page)
    expect(seen(page, "Kept as dog")).to_be_visible()
    older.get_by_role("button", name="cat").click()
    expect(seen(page, "Kept as cat")).to_be_visible()

    expect(newer.get_by_role("button", name="dog")).to_have_attribute("aria-pressed", "true")
    counts = keeper.client.get("/datasets/pets").json()["counts"]
    assert [sum(split.get(label, 0) for split in counts.values()) for label in ("cat", "dog")] == [1, 1]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    places = page.evaluate("Object.keys(sessionStorage).filter((place) => !place.startsWith('catdog-answer-'))")
    assert places == ["catdog-key"]


def test_neither_keeps_the_picture_to_measure_unknown_and_replaces_what_was_said_before(
    page: Page, keeper: Service, jpeg: bytes
) -> None:
    choose(page, file("teapot.jpg", jpeg))
    cards(page)
    group = page.get_by_role("group", name="What it really is")

    group.get_by_role("button", name="cat").click()
    give_key(page)
    expect(seen(page, "Kept as cat in “pets”. The next training on “pets” learns from it.")).to_be_visible()
    group.get_by_role("button", name="neither").click()

    expect(seen(page, "measures how many of these are called unknown, and learns nothing from it")).to_be_visible()
    counts = keeper.client.get("/datasets/pets").json()["counts"]
    assert [by_class for by_class in counts.values() if by_class] == [{"neither": 1}]


def test_the_data_set_of_corrections_is_chosen_once(page: Page, keeper: Service, jpeg: bytes) -> None:
    keeper.client.post("/datasets/farm/images", data={"label": "cat"}, files={"file": jpeg}).raise_for_status()
    choose(page, file("one.jpg", jpeg))
    cards(page)
    page.reload()
    expect(page.get_by_label("Corrections go to the data set")).to_have_value("pets")

    page.get_by_label("Corrections go to the data set").select_option("farm")
    page.reload()
    page.get_by_role("group", name="What it really is").get_by_role("button", name="dog").click()
    give_key(page)

    expect(seen(page, "Kept as dog in “farm”.")).to_be_visible()
    assert keeper.client.get("/datasets/farm").json()["pictures"] == 1


def test_answers_and_corrections_survive_a_reload(page: Page, jpeg: bytes) -> None:
    choose(page, file("one.jpg", jpeg), file("broken.jpg", b""))
    before = cards(page)
    page.get_by_role("group", name="What it really is").get_by_role("button", name="dog").click()
    give_key(page)
    expect(seen(page, "Kept as dog")).to_be_visible()

    page.reload()

    assert [card.partition("Kept")[0].rstrip() for card in cards(page)] == before
    expect(page.get_by_role("img", name="one.jpg")).to_have_js_property("naturalWidth", 320)
    expect(page.get_by_role("button", name="dog", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Clear").click()
    page.reload()
    expect(page.get_by_role("list", name="Answers").locator("> li")).to_have_count(0)


def test_without_a_key_nothing_is_done_and_the_page_says_so(page: Page, keeper: Service, jpeg: bytes) -> None:
    choose(page, file("one.jpg", jpeg))
    cards(page)

    page.get_by_role("group", name="What it really is").get_by_role("button", name="cat").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    expect(seen(page, "Nothing was done")).to_be_visible()
    assert keeper.client.get("/datasets").json() == {"datasets": []}
