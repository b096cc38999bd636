"""What the data check found: a person acts on each picture there, and can undo it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from catdog.jobs.job import Status
from tests.app.api.test_datasets import picture, zipped
from tests.app.api.test_pictures import classes
from tests.app.service import Service
from tests.app.ui.browsing import give_key, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


def found(service: Service, name: str, number: int, note: str = "") -> dict[str, Any]:
    """A photo of a finding, as the trainer reports it."""
    listed = service.client.get("/datasets/pets/pictures?limit=100").json()["pictures"]
    (one,) = [one for one in listed if f"{one['label']}/{one['name']}" == name]
    return {
        "name": one["name"],
        "label": one["label"],
        "split": one["split"],
        "sha256": one["sha256"],
        "picture": number,
        "note": note,
    }


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    """The findings of an ended training: a wrong label, and one picture three times."""
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(9)}
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    jobs = keeper.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "head", "promote": "auto"})
    lease = jobs.claim("the test")
    wrong = {
        "kind": "likely-mislabel",
        "sentence": "1 photo",
        "count": 1,
        "photos": [found(keeper, "cat/1.png", 1, "dog 97.0%")],
    }
    copies = [found(keeper, name, 2) for name in ("cat/2.png", "cat/3.png", "dog/4.png")]
    other = [found(keeper, name, 3) for name in ("cat/5.png", "dog/5.png")]
    same = {"kind": "conflicting-labels", "sentence": "5 photos", "count": 5, "photos": [*copies, *other]}
    lease.report("findings", {"findings": 2}, findings=[wrong, same])
    lease.end(Status.FAILED, "the test")
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Teach").click()
        page.get_by_role("button", name="Show the pictures").click()
        give_key(page)
        yield page


def photo(page: Page, kind: str, place: int = 0) -> Locator:
    return page.locator("details", has=page.get_by_text(kind)).get_by_role("listitem").nth(place)


def test_a_wrong_label_is_put_right_and_back(page: Page, keeper: Service) -> None:
    item = photo(page, "Likely of another class")
    expect(item.locator("img")).to_have_js_property("naturalWidth", 200)
    shot(page, "findings-steps")

    item.get_by_role("button", name="Move to dog: 1.png").click()
    expect(item).to_contain_text("Moved to dog.")
    assert classes(keeper) == {"cat": 8, "dog": 10}
    item.get_by_role("button", name="Undo").click()
    expect(item.get_by_role("button", name="Keep this one")).to_be_visible()
    assert classes(keeper) == {"cat": 9, "dog": 9}

    item.get_by_role("button", name="Keep this one").click()
    expect(item).to_contain_text("Kept as it is.")
    assert classes(keeper) == {"cat": 9, "dog": 9}


def test_one_of_several_copies_is_kept(page: Page, keeper: Service) -> None:
    item = photo(page, "Under more than one class", 1)

    item.get_by_role("button", name="Keep this one: 3.png").click()

    expect(item).to_contain_text("Kept; 2 copies deleted.")
    names = {f"{one['label']}/{one['name']}" for one in keeper.client.get("/datasets/pets/pictures").json()["pictures"]}
    assert {"cat/3.png", "cat/5.png", "dog/5.png"} <= names
    assert not names & {"cat/2.png", "dog/4.png"}
    item.get_by_role("button", name="Undo").click()
    until(lambda: classes(keeper) == {"cat": 9, "dog": 9})


def test_a_photo_is_deleted_and_one_that_is_gone_is_no_error(page: Page, keeper: Service) -> None:
    item = photo(page, "Under more than one class", 2)

    item.get_by_role("button", name="Delete: 4.png").click()
    expect(item).to_contain_text("Deleted.")
    assert classes(keeper) == {"cat": 9, "dog": 8}

    other = photo(page, "Under more than one class", 0)
    other.get_by_role("button", name="Keep this one").click()
    expect(other).to_contain_text("Kept; 2 copies deleted.")
    assert classes(keeper) == {"cat": 8, "dog": 8}
