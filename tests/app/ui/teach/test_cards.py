"""Data sets as cards: a person creates, renames, merges, downloads and deletes them."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from catdog.jobs.job import Status
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import Service
from tests.app.ui.browsing import give_key, seen, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    """The section Teach with two data sets."""
    for name, labels in (("pets", ("cat", "dog")), ("zoo", ("cat", "lion"))):
        members = {f"{label}/{n}.png": picture(n + 100 * len(label)) for label in labels for n in range(9)}
        keeper.client.post(f"/datasets/{name}/archive", files={"file": zipped(members)}).raise_for_status()
    jobs = keeper.app.state.database.jobs
    jobs.submit({"dataset": "zoo", "strategy": "head", "promote": "auto"})
    jobs.claim("the test").end(Status.FAILED, "the test")
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Teach").click()
        expect(cards(page)).to_have_count(2)
        yield page


def cards(page: Page) -> Locator:
    return page.get_by_role("list", name="Data sets").get_by_role("listitem")


def names(service: Service) -> list[str]:
    return [one["name"] for one in service.client.get("/datasets").json()["datasets"]]


def test_a_card_says_what_is_in_a_data_set_and_leads_to_it(page: Page) -> None:
    expect(cards(page).first).to_contain_text("9 of cat, 9 of dog")
    expect(cards(page).first).to_contain_text("Not trained on yet.")
    expect(cards(page).last).to_contain_text("The training failed")
    expect(cards(page).first).to_have_attribute("aria-current", "true")

    page.get_by_role("button", name="Choose: zoo").click()
    expect(page.get_by_label("Data set", exact=True)).to_have_value("zoo")
    expect(page.get_by_role("table", name="18 pictures in “zoo”")).to_be_visible()
    page.get_by_role("link", name="Look at pictures: zoo").click()
    give_key(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Pictures of “zoo”")
    expect(page.get_by_role("link", name="Teach", exact=True)).to_have_attribute("aria-current", "page")

    page.get_by_role("link", name="Back to Teach").click()
    expect(cards(page).first.get_by_role("img")).to_have_count(0)  # decoration
    expect(cards(page).first.locator("img")).to_have_count(5)
    shot(page, "cards")


def test_a_data_set_is_created_renamed_and_merged(page: Page, keeper: Service) -> None:
    page.get_by_label("New data set").fill("birds")
    page.get_by_role("button", name="Create").click()
    give_key(page)
    expect(cards(page).first).to_contain_text("birds")
    expect(cards(page).first).to_contain_text("No picture yet.")

    page.get_by_role("button", name="Rename: birds").click()
    page.get_by_role("dialog").get_by_label("Name").fill("zoo")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.locator("#cards-report")).to_contain_text("There is a data set zoo already")
    page.get_by_role("button", name="Merge: zoo").click()
    shot(page, "merge")
    page.get_by_role("dialog").get_by_label("Data set").fill("pets")
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()

    expect(page.locator("#cards-report")).to_contain_text("The pictures of “zoo” are in “pets” now.")
    assert names(keeper) == ["birds", "pets"]
    page.locator("#cards-report").get_by_role("button", name="Undo").click()
    until(lambda: names(keeper) == ["birds", "pets", "zoo"])
    expect(cards(page)).to_have_count(3)


def test_a_data_set_is_deleted_once_the_user_has_agreed_and_comes_back_after_a_reload(
    page: Page, keeper: Service
) -> None:
    page.get_by_role("button", name="Delete: pets").click()
    page.get_by_role("dialog", name="Delete “pets”?").get_by_role("button", name="Cancel").click()
    assert names(keeper) == ["pets", "zoo"]
    page.get_by_role("button", name="Delete: pets").click()
    page.get_by_role("dialog", name="Delete “pets”?").get_by_role("button", name="Delete").click()
    give_key(page)
    expect(cards(page)).to_have_count(1)

    page.reload()
    page.get_by_text("Changes that can be undone").click()
    undo = page.get_by_role("list", name="Changes that can be undone").get_by_role("button")
    expect(undo).to_have_accessible_name("Undo: 18 pictures of “pets” deleted")
    undo.click()

    expect(cards(page)).to_have_count(2)
    expect(seen(page, "Nothing was changed in the last days.")).to_be_visible()
    assert names(keeper) == ["pets", "zoo"]


def test_a_data_set_that_a_training_needs_is_not_deleted(page: Page, keeper: Service) -> None:
    keeper.app.state.database.jobs.submit({"dataset": "pets", "strategy": "head", "promote": "auto"})

    page.get_by_role("button", name="Delete: pets").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    give_key(page)

    expect(page.locator("#cards-report .fault")).to_contain_text("A training on the data set pets is queued")
    assert names(keeper) == ["pets", "zoo"]


def test_a_data_set_is_downloaded(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download: pets").click()
        give_key(page)

    download.value.save_as(tmp_path / "pets.zip")
    assert download.value.suggested_filename == "pets.zip"
    with ZipFile(tmp_path / "pets.zip") as archive:
        assert len(archive.namelist()) == 18
