"""Review: a person labels the least sure answers, with one key each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from catdog.versions.measurements import Histogram
from tests.app.retraining.test_shadow import DISAGREES, on_trial, shadowing
from tests.app.service import Service, encoded, publish, serving
from tests.app.ui.browsing import give_key, seen, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser

PHOTOS = 3


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


def tiles(page: Page) -> Locator:
    return page.get_by_role("list", name="Pictures to label").get_by_role("button")


def test_many_pictures_are_labelled_together(page: Page, keeper: Service) -> None:
    page.locator("#review-way").select_option("many at once")
    expect(tiles(page)).to_have_count(PHOTOS)
    expect(tiles(page).first.locator("img")).to_have_js_property("naturalWidth", 16)

    tiles(page).nth(0).click()
    tiles(page).nth(1).click(modifiers=["Shift"])
    expect(seen(page, "2 selected")).to_be_visible()
    page.keyboard.press("2")

    expect(tiles(page).filter(has_text="→ dog")).to_have_count(2)
    assert labelled(keeper) == {"dog": 2}
    expect(page.locator("#said")).to_contain_text("2 pictures. ")


def test_a_slip_among_many_is_put_right_by_labelling_again(page: Page, keeper: Service) -> None:
    page.locator("#review-way").select_option("many at once")
    for wanted in ("cat", "neither"):
        page.get_by_role("button", name="Select all").click()
        page.get_by_role("group", name="What it really is").get_by_role("button", name=wanted).click()
        expect(tiles(page).filter(has_text=f"→ {wanted}")).to_have_count(PHOTOS)

    assert labelled(keeper) == {"neither": PHOTOS}


def test_pictures_that_could_not_be_labelled_stay_selected(page: Page, keeper: Service) -> None:
    page.locator("#review-way").select_option("many at once")
    expect(tiles(page)).to_have_count(PHOTOS)
    uploads = keeper.predictor.uploads
    uploads.forget(next(uploads.newest()).sha256)

    page.get_by_role("button", name="Select all").click()
    page.keyboard.press("1")

    expect(seen(page, "1 selected")).to_be_visible()
    expect(page.get_by_role("main").locator(".fault")).to_contain_text("isn't stored")
    assert labelled(keeper) == {"cat": PHOTOS - 1}


def test_only_pictures_unlike_any_class_are_shown_if_wanted(page: Page) -> None:
    page.locator("#review-order").select_option("unlike any class")

    expect(seen(page, "Nothing to look at")).to_be_visible()  # this version has no detector


def test_pictures_that_a_version_on_trial_answers_differently_say_what_both_say(
    browser: Browser, tmp_path: Path, jpeg: bytes
) -> None:
    with (
        shadowing(on_trial(tmp_path, head_seed=DISAGREES)) as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        service.client.post("/predict", content=jpeg).raise_for_status()
        until(lambda: service.client.get("/shadow").json()["trial"]["photos"] == 1)
        page.get_by_role("link", name="Review").click()
        give_key(page)
        page.get_by_label("Which pictures").select_option("versions disagree")

        [item] = service.client.get("/review?order=disagreement").json()["items"]
        ours, theirs = item["other"]["label"], item["prediction"]["label"]
        expect(seen(page, f"because the version on trial says {ours}")).to_contain_text(
            f"the one in service {theirs} ("
        )
        shot(page, "review-disagreement")
