"""Teach: a person adds pictures, and sees the counts of the data set."""

from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.app.api.test_datasets import picture, zipped
from tests.app.service import Service, encoded
from tests.app.ui.browsing import file, give_key, seen, visiting
from tests.app.web.test_problem_details import check
from tests.waiting import until

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Teach").click()
        expect(seen(page, "“pets” has no picture yet.")).to_be_visible()
        yield page


def row(page: Page, label: str) -> list[str]:
    """Pictures of a class as the page counts them: train, validation, test, all."""
    shown = page.get_by_role("table", name="pictures in “pets”").get_by_role("row", name=label)
    return shown.get_by_role("cell").all_inner_texts()


def test_labelled_pictures_are_counted_by_class(page: Page, keeper: Service) -> None:
    cats = [file(f"{n}.png", picture(n), "image/png") for n in range(20)]

    page.get_by_label("Choose pictures of cat").set_input_files(cats)
    give_key(page)
    expect(seen(page, "20 new pictures of cat.")).to_be_visible()
    page.get_by_label("Choose pictures of dog").set_input_files([cats[0], file("dog.png", picture(99), "image/png")])
    expect(seen(page, "2 new pictures of dog.")).to_be_visible()

    expect(page.get_by_role("table", name="22 pictures in “pets”")).to_be_visible()
    counts = keeper.client.get("/datasets/pets").json()["counts"]
    for label in ("cat", "dog"):
        numbers = [counts.get(split, {}).get(label, 0) for split in ("train", "validation", "test")]
        assert row(page, label) == [str(number) for number in (*numbers, sum(numbers))]


def test_files_that_are_refused_are_named_with_the_reason(page: Page) -> None:
    evil = "<img src=x onerror=alert(1)>.jpg"

    page.get_by_label("Choose pictures of cat").set_input_files([file(evil, b"text"), file("1.png", picture(1))])
    give_key(page)

    expect(seen(page, "1 new picture of cat.")).to_be_visible()
    expect(seen(page, "1 file left out:")).to_be_visible()
    expect(seen(page, evil)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_a_zip_brings_its_classes_with_it(page: Page) -> None:
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "fish")) for label in ("cat", "fish") for n in range(3)}

    page.get_by_label("Choose a ZIP").set_input_files(
        file("pets.zip", zipped({**members, "cat/notes.txt": b"no picture"}), "application/zip")
    )
    give_key(page)

    expect(seen(page, "6 new pictures from pets.zip.")).to_be_visible()
    expect(seen(page, "cat/notes.txt")).to_be_visible()
    until(lambda: row(page, "fish")[-1:] == ["3"])
    expect(page.get_by_label("Choose pictures of fish")).to_be_attached()


def test_a_bad_zip_is_refused_with_the_reason(page: Page) -> None:
    page.get_by_label("Choose a ZIP").set_input_files(file("evil.zip", zipped({"../cat/1.png": picture(1)})))
    give_key(page)

    expect(page.locator("#upload-report .fault")).to_contain_text("../cat/1.png")
    expect(seen(page, "“pets” has no picture yet.")).to_be_visible()


def test_a_class_that_the_model_does_not_know_can_be_added(page: Page) -> None:
    page.get_by_label("Another class").fill("<b>hamster</b>")
    page.get_by_role("button", name="Add the class").click()
    page.get_by_label("Choose pictures of <b>hamster</b>").set_input_files(file("1.png", picture(1)))
    give_key(page)
    expect(page.locator("#upload-report .fault")).to_contain_text("can't be the name of a class")

    page.get_by_label("Another class").fill("hamster")
    page.keyboard.press("Enter")
    page.get_by_label("Choose pictures of hamster", exact=True).set_input_files(file("1.png", picture(1)))

    expect(seen(page, "1 new picture of hamster.")).to_be_visible()


def test_a_picture_of_a_data_set_can_be_looked_at_and_does_nothing_else(keeper: Service) -> None:
    content = encoded(Image.new("RGB", (8, 8), "teal"), "PNG")
    uploaded = keeper.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": content}).json()
    address = f"/datasets/pets/images/{uploaded['results'][0]['picture']['sha256']}"

    shown = keeper.client.get(address)

    assert (shown.content, shown.headers["Content-Type"]) == (content, "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    check(keeper.client.get(address.replace("pets", "others")), "picture-not-found", 404)
    check(keeper.client.get(f"/datasets/pets/images/{'0' * 64}"), "picture-not-found", 404)
    check(keeper.client.get("/datasets/pets/images/..%2F..%2Fadmin.key"), "not-found", 404)
    del keeper.client.headers["Authorization"]
    check(keeper.client.get(address), "unauthorized", 401)
