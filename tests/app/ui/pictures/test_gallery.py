"""The gallery of a data set: a person looks at very many pictures, and relabels, moves and deletes them."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.api.test_datasets import picture, zipped
from tests.app.api.test_pictures import classes
from tests.app.service import Service
from tests.app.ui.browsing import give_key, shot, visiting
from tests.app.ui.test_widths import check
from tests.waiting import until

pytestmark = pytest.mark.browser

CATS = 80
LABELLED = 200
LIMIT_SECONDS = 60
DISAGREES = "opinion=disagrees&opinions=true&limit=500"


@pytest.fixture
def pets(keeper: Service) -> Service:
    """A service with a data set of 80 cats and a dog."""
    members = {f"train/cat/{number:03}.png": picture(number) for number in range(CATS)}
    members["train/dog/0.png"] = picture(1000)
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    return keeper


@pytest.fixture
def page(browser: Browser, pets: Service) -> Iterator[Page]:
    with visiting(browser, pets.app.state.settings.address) as page:
        look(page)
        yield page


def look(page: Page, name: str = "pets") -> None:
    page.goto(f"/#gallery/{name}")
    give_key(page)
    expect(page.locator("#gallery-summary")).to_contain_text("picture")
    expect(tiles(page).first.locator("img")).to_be_visible()


def tiles(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Pictures").get_by_role("option")


def tile(page: Page, place: int) -> Locator:
    return page.locator(f"#tile-{place}")


def choose_filter(page: Page, name: str, value: str) -> None:
    page.locator(f"#gallery-{name}").select_option(value)


def test_all_pictures_are_there_but_only_those_in_the_window_are_loaded(page: Page) -> None:
    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS + 1} pictures")
    expect(tile(page, 0)).to_have_attribute("aria-setsize", str(CATS + 1))
    assert tiles(page).count() < CATS
    expect(tile(page, CATS)).to_have_count(0)

    page.get_by_role("listbox").press("End")

    expect(tile(page, CATS).locator("img")).to_be_visible()
    expect(tile(page, CATS)).to_have_attribute("aria-label", "cat, train, 000.png")
    expect(tile(page, 0)).to_have_count(0)
    shot(page, "gallery-end")


@pytest.mark.whole
def test_200_photos_are_labelled_in_a_minute(browser: Browser, pets: Service) -> None:
    members = {f"train/cat/{number:03}.png": picture(number) for number in range(CATS, LABELLED)}
    pets.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    with visiting(browser, pets.app.state.settings.address) as page:
        look(page)
        page.get_by_role("listbox").focus()
        began = monotonic()
        for number in range(LABELLED):
            page.keyboard.press("12"[number % 2])
        until(lambda: classes(pets) == {"cat": 101, "dog": 100})

    assert monotonic() - began < LIMIT_SECONDS
    listed = pets.client.get("/datasets/pets/pictures?limit=10").json()["pictures"]
    assert [one["label"] for one in listed] == ["cat", "dog"] * 5


def test_a_range_is_selected_by_shift_and_gets_a_class_by_a_button(page: Page, pets: Service) -> None:
    tile(page, 2).click()
    tile(page, 11).click(modifiers=["Shift"])
    tile(page, 5).click()
    expect(page.locator("#gallery-selected")).to_have_text("9 selected")
    shot(page, "gallery-selected")

    page.locator("#gallery-classes").get_by_role("button", name="dog").click()

    until(lambda: classes(pets) == {"cat": CATS - 9, "dog": 10})
    expect(tile(page, 2).locator("span")).to_have_text("dog")
    expect(tile(page, 5).locator("span")).to_have_text("cat")
    page.get_by_role("button", name="Undo").click()
    until(lambda: classes(pets) == {"cat": CATS, "dog": 1})
    expect(tile(page, 2).locator("span")).to_have_text("cat")
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()


def test_the_keyboard_selects_deletes_and_undoes(page: Page, pets: Service) -> None:
    grid = page.get_by_role("listbox")
    grid.press("ArrowRight")
    grid.press("Shift+ArrowRight")
    grid.press("Shift+ArrowRight")
    expect(grid).to_have_attribute("aria-activedescendant", "tile-3")
    expect(page.locator("#gallery-selected")).to_have_text("3 selected")

    grid.press("Delete")
    page.get_by_role("dialog", name="Delete 3 pictures?").get_by_role("button", name="Delete").click()
    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS - 2} pictures")
    until(lambda: sum(classes(pets).values()) == CATS - 2)
    grid.press("Control+z")
    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS + 1} pictures")

    grid.press("Control+a")
    expect(page.locator("#gallery-selected")).to_have_text(f"{CATS + 1} selected")
    grid.press("Escape")
    expect(page.locator("#gallery-selected")).to_contain_text("None selected")
    assert sum(classes(pets).values()) == CATS + 1


def test_filters_show_a_class_a_split_and_what_the_check_found(page: Page, pets: Service) -> None:
    choose_filter(page, "label", "dog")
    expect(page.locator("#gallery-summary")).to_have_text("1 picture")
    expect(tile(page, 0)).to_have_attribute("aria-label", "dog, train, 0.png")
    choose_filter(page, "label", "")
    choose_filter(page, "split", "train")
    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS + 1} pictures")

    jobs = pets.app.state.database.jobs
    jobs.submit({"dataset": "pets"})
    lease = jobs.claim("the test")
    some = pets.client.get("/datasets/pets/pictures?limit=3").json()["pictures"]
    photos = [{"sha256": one["sha256"]} for one in some]
    lease.report("findings", {}, findings=[{"kind": "likely-mislabel", "photos": photos, "count": 3}])
    choose_filter(page, "finding", "likely-mislabel")

    expect(page.locator("#gallery-summary")).to_have_text("3 pictures")
    choose_filter(page, "finding", "unreadable")
    expect(page.locator("#gallery-summary")).to_have_text("0 pictures")


def test_pictures_get_a_new_class_another_split_and_another_data_set(page: Page, pets: Service) -> None:
    page.get_by_text("Other class, split or data set").click()
    tile(page, 3).click()
    page.get_by_label("Class for the pictures").fill("<b>fox")
    page.get_by_role("button", name="Set class").click()
    expect(page.locator("#gallery-report")).to_contain_text("can't be the name of a class")
    assert classes(pets) == {"cat": CATS, "dog": 1}

    tile(page, 3).click()
    page.get_by_label("Class for the pictures").fill("fox")
    page.get_by_role("button", name="Set class").click()
    expect(page.locator("#gallery-classes").get_by_role("button", name="fox")).to_be_visible()
    tile(page, 0).click()
    page.get_by_role("button", name="validation").click()
    until(lambda: pets.client.get("/datasets/pets").json()["counts"].get("validation") == {"dog": 1})
    tile(page, 1).click()
    page.get_by_label("Another data set").fill("others")
    page.get_by_role("button", name="Move").click()

    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS} pictures")
    until(lambda: pets.client.get("/datasets/others").is_success and classes(pets, "others") == {"cat": 1})
    assert classes(pets) == {"cat": CATS - 2, "dog": 1, "fox": 1}


def test_the_model_s_opinion_is_a_filter(page: Page, pets: Service) -> None:
    page.locator("#gallery-summary").evaluate(
        """summary => {
            window.said = [];
            new MutationObserver(() => said.push(summary.textContent)).observe(summary, { childList: true });
        }"""
    )
    choose_filter(page, "opinion", "disagrees")

    until(lambda: bool(page.evaluate("said.some(text => text.includes('still has to look at'))")))
    until(lambda: pets.client.post("/datasets/pets/looks").json()["left"] == 0)
    expected = pets.client.get(f"/datasets/pets/pictures?{DISAGREES}").json()["pictures"]
    assert expected
    expect(page.locator("#gallery-summary")).to_have_text(f"{len(expected)} picture{'s' * (len(expected) > 1)}")
    first = expected[0]
    expect(tile(page, 0).locator("span")).to_have_text(f"{first['label']} → {first['opinion']['label']}")
    shot(page, "gallery-opinion")


def test_all_that_look_like_a_picture_are_listed_and_relabelled(page: Page, pets: Service) -> None:
    tile(page, 4).click()
    page.get_by_role("button", name="All like this").click()

    expect(page.get_by_role("button", name=f"Like {CATS - 4:03}.png")).to_be_visible()
    expect(page.locator("#gallery-summary")).to_have_text(f"{CATS + 1} pictures")  # once the model has looked at all
    expect(tile(page, 0)).to_have_attribute("aria-label", f"cat, train, {CATS - 4:03}.png")
    tile(page, 0).click()
    tile(page, 19).click(modifiers=["Shift"])
    page.locator("#gallery-classes").get_by_role("button", name="dog").click()
    until(lambda: classes(pets)["dog"] in (20, 21))

    page.get_by_role("button", name=f"Like {CATS - 4:03}.png").click()
    expect(page.get_by_role("button", name=f"Like {CATS - 4:03}.png")).to_be_hidden()
    expect(tile(page, 4).locator("span")).to_have_text("dog")


def test_a_picture_is_shown_large(page: Page) -> None:
    tile(page, 4).dblclick()

    dialog = page.get_by_role("dialog", name=f"{CATS - 4:03}.png")
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 8)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_a_picture_that_cannot_be_read_and_an_empty_data_set_say_so(browser: Browser, pets: Service) -> None:
    pets.client.post("/datasets", json={"name": "empty"}).raise_for_status()
    pets.client.post(
        "/datasets/pets/archive", files={"file": zipped({"cat/x.png": picture(1)[:50]})}
    ).raise_for_status()
    with visiting(browser, pets.app.state.settings.address) as page:
        page.goto("/#gallery/pets")
        give_key(page)
        expect(page.locator(".not-shown")).to_have_count(1)
        page.goto("/#gallery/empty")
        expect(page.locator("#gallery-summary")).to_have_text("No picture yet.")
        page.goto("/#gallery/none")
        expect(page.locator("#gallery-report")).to_contain_text("There is no data set none")


@pytest.mark.whole
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_every_width_and_is_fit_for_everybody(browser: Browser, pets: Service, theme: Any) -> None:
    with visiting(browser, pets.app.state.settings.address, color_scheme=theme) as page:
        look(page)
        tile(page, 1).click()
        page.get_by_text("Other class, split or data set").click()
        check(page, f"gallery-{theme}")
