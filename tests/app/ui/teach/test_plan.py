"""Teach: before a training starts, the page says what it does and costs, and warns."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, publish, serving
from tests.app.ui.browsing import shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser


def add(service: Service, dataset: str, **numbers: int) -> None:
    """So many training pictures of each class."""
    members = {
        f"train/{label}/{n}.png": picture(1000 * place + n)
        for place, (label, number) in enumerate(numbers.items())
        for n in range(number)
    }
    service.client.post(f"/datasets/{dataset}/archive", files={"file": zipped(members)}).raise_for_status()


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a store of its own, for all tests of this file."""
    folder = tmp_path_factory.mktemp("plan")
    publish(folder / "models")
    with serving(folder / "models", data_dir=folder / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address) as page:
        yield page


def plan(page: Page, dataset: str) -> None:
    page.get_by_role("link", name="Teach").click()
    page.locator("#dataset").fill(dataset)
    page.locator("#dataset").blur()


def test_a_class_with_too_few_pictures_is_warned_of(page: Page, keeper: Service) -> None:
    add(keeper, "pets", cat=20, dog=3)

    plan(page, "pets")

    notes = page.locator("#plan .notice")
    expect(notes.filter(has_text="Few pictures to train on (dog: 3). With fewer than 20 of a class")).to_be_visible()
    expect(notes.filter(has_text="fewer than 30 test pictures of cat and dog")).to_be_visible()


def test_the_backbone_that_suits_the_classes_is_named(page: Page, keeper: Service) -> None:
    add(keeper, "farm", cow=2, hen=2)
    plan(page, "farm")
    notes = page.locator("#plan .notice")
    expect(notes.filter(has_text="won’t go into service by itself")).to_be_visible()
    expect(notes.filter(has_text="ImageNet’s VGG16 suits them better")).to_have_count(0)

    page.get_by_label("Starts from").select_option("the network in service")
    expect(notes.filter(has_text="ImageNet’s VGG16 suits them better")).to_be_visible()

    add(keeper, "known", cat=2, dog=2)
    plan(page, "known")
    page.get_by_label("Starts from").select_option("ImageNet’s VGG16")
    expect(notes.filter(has_text="Version 1 knows these classes already")).to_be_visible()
    shot(page, "plan")


def test_the_settings_are_explained_in_words(page: Page) -> None:
    page.get_by_role("link", name="Teach").click()
    expect(page.locator("#plan")).to_contain_text("Only the head is trained")

    page.get_by_label("What is trained").select_option("finetune")
    page.get_by_label("Then").select_option("never")

    expect(page.locator("#plan")).to_contain_text("The last layers learn too")
    expect(page.locator("#plan")).to_contain_text("putting it into service stays up to you")


def test_the_time_is_estimated_from_this_machine(page: Page, keeper: Service, jpeg: bytes) -> None:
    add(keeper, "timed", cat=4, dog=4)
    plan(page, "timed")
    expect(page.locator("#plan")).to_contain_text("isn’t known before the first training of this kind")

    keeper.client.post("/predict", content=jpeg).raise_for_status()
    page.reload()
    plan(page, "timed")
    expect(page.locator("#plan")).to_contain_text(
        "As fast as this machine answers, it takes about 1 second for 8 pictures"
    )

    jobs: Jobs = keeper.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "head", "promote": "never"})
    lease = jobs.claim("the test")
    assert lease is not None
    number = publish(keeper.app.state.settings.models_dir, seed=8)
    lease.end(Status.SUCCEEDED, "", version=number, decision={"promoted": False})
    page.reload()
    plan(page, "timed")
    expect(page.locator("#plan")).to_contain_text("By the last training on this machine it takes up to")
