"""Training: a person starts one, watches it, and reads the decision."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.retraining.thumbnails import SIDE_PIXELS
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs, Lease
from catdog.versions.store import Store
from tests.app.api.test_datasets import picture, zipped
from tests.app.api.test_retrain import waiting
from tests.app.service import Service
from tests.app.ui.browsing import file, give_key, seen, shot, visiting
from tests.photos import draw_set
from tests.waiting import until
from training.data import service_datasets
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("no_https")]

EVIL = "<img src=x onerror=alert(1)>.png"


@pytest.fixture
def page(browser: Browser, keeper: Service) -> Iterator[Page]:
    """The section Teach with pictures to train on; the test acts as the worker."""
    members = {f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(20)}
    members[f"cat/{EVIL}"] = picture(500)
    keeper.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
    with visiting(browser, keeper.app.state.settings.address) as page:
        page.get_by_role("link", name="Teach").click()
        yield page


def claimed(service: Service) -> Lease:
    """The job that the page requested, claimed by the test as its worker."""
    jobs: Jobs = service.app.state.database.jobs
    until(jobs.is_waiting)
    lease = jobs.claim("the test")
    assert lease is not None
    return lease


def report(lease: Lease, **progress: Any) -> None:
    said = {"phase": "fitting", "seconds_left": None, **progress}
    lease.report("progress", said, progress=said)


def epoch(lease: Lease, number: int) -> None:
    metrics = {"log_loss": 0.9 / number, "val_log_loss": 1 / number, "accuracy": 0.5 + number / 20, "val_accuracy": 0.5}
    lease.report("epoch", {"epoch": number, "epochs": 4, **metrics})


def start(page: Page) -> None:
    page.get_by_role("button", name="Train").click()
    give_key(page)
    expect(seen(page, "The training waits for its turn.")).to_be_visible()


def test_a_training_is_asked_for_as_the_form_says(page: Page, keeper: Service) -> None:
    page.get_by_label("What is trained").select_option("finetune")
    page.get_by_label("Starts from").select_option("imagenet")
    page.get_by_label("Epochs").fill("4")
    page.get_by_label("Then").select_option("never")
    page.get_by_label("Notes").fill("<b>from the page</b>")
    start(page)

    assert keeper.client.get("/retrain/latest").json()["request"] == {
        "dataset": "pets",
        "strategy": "finetune",
        "backbone": "imagenet",
        "epochs": 4,
        "promote": "never",
        "notes": "<b>from the page</b>",
    }


def test_a_fine_tuning_without_a_number_of_epochs_leaves_it_to_the_training(page: Page, keeper: Service) -> None:
    page.get_by_label("What is trained").select_option("finetune")
    start(page)

    request = keeper.client.get("/retrain/latest").json()["request"]
    assert request["strategy"] == "finetune"
    assert "epochs" not in request


def test_a_training_is_watched_as_it_goes(page: Page, keeper: Service) -> None:
    start(page)
    lease = claimed(keeper)
    expect(seen(page, "The training runs.")).to_be_visible()

    report(lease, progress=0.25, seconds_left=30, backbone="the backbone is ImageNet's VGG16, because of the fish")
    expect(seen(page, "For this training the backbone is ImageNet's VGG16, because of the fish.")).to_be_visible()
    expect(seen(page, "25.0% done, fitting, 30 seconds left in this phase")).to_be_visible()
    report(lease, phase="downloading", progress=0.25)
    expect(seen(page, "25.0% done, downloading ImageNet’s weights")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.25)

    for number in (1, 2):
        epoch(lease, number)
        chart = page.get_by_role("img", name=f"Log-loss after {number} of 4 epochs")
        expect(chart).to_have_accessible_name(
            f"Log-loss after {number} of 4 epochs: train {0.9 / number:.3f}, validation {1 / number:.3f}"
        )
        points = [line.get_attribute("points") or "" for line in chart.locator("polyline").all()]
        assert [len(line.split()) for line in points] == [number, number]
    expect(page.get_by_role("img", name="Accuracy after 2 of 4 epochs")).to_be_visible()

    shot(page, "training")

    lease.end(Status.FAILED, "the disk is full")
    expect(seen(page, "The training failed: the disk is full")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def find(lease: Lease) -> None:
    """Add a finding about a picture whose name is markup, and about one that was removed since."""
    photo = {"name": EVIL, "label": "cat", "split": "train", "sha256": sha256(picture(500)).hexdigest()}
    photos = [{**photo, "picture": 1, "note": "dog 97.0%"}, {**photo, "name": "gone.png", "sha256": "0" * 64}]
    finding = {"kind": "likely-mislabel", "sentence": "2 photos: look", "photos": photos, "count": 2}
    lease.report("findings", {"findings": 1}, findings=[finding])


def test_what_the_doctor_found_is_shown_with_its_pictures(page: Page, keeper: Service) -> None:
    start(page)
    find(claimed(keeper))

    expect(seen(page, "Likely of another class (2)")).to_be_visible()
    thumbnail = page.get_by_role("listitem").filter(has_text=EVIL)
    expect(thumbnail).to_contain_text("dog 97.0%")
    thumbnail.scroll_into_view_if_needed()
    expect(thumbnail.locator("img")).to_have_js_property("naturalWidth", SIDE_PIXELS)
    expect(page.get_by_role("listitem").filter(has_text="gone.png")).to_contain_text("deleted in the meantime")
    assert page.locator("img[src=x]").count() == 0
    shot(page, "findings")


def test_looking_at_a_training_needs_no_key(page: Page, keeper: Service) -> None:
    keeper.client.post("/retrain", json={"dataset": "pets"}).raise_for_status()
    find(claimed(keeper))
    page.reload()
    expect(seen(page, "Likely of another class (2)")).to_be_visible()
    thumbnail = page.get_by_role("listitem").filter(has_text=EVIL)
    expect(thumbnail).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.get_by_role("button", name="Show the pictures").click()
    give_key(page)

    thumbnail.scroll_into_view_if_needed()
    expect(thumbnail.locator("img")).to_have_js_property("naturalWidth", SIDE_PIXELS)


def test_a_training_can_be_cancelled(page: Page, keeper: Service) -> None:
    start(page)

    page.get_by_role("button", name="Cancel").click()

    expect(seen(page, "The training was cancelled: cancelled before it ran")).to_be_visible()
    assert keeper.client.get("/retrain/latest").json()["status"] == "cancelled"


def test_a_page_opened_later_shows_the_running_training(page: Page, keeper: Service) -> None:
    start(page)
    epoch(claimed(keeper), 1)

    page.reload()

    expect(seen(page, "The training runs.")).to_be_visible()
    expect(page.get_by_role("img", name="Accuracy after 1 of 4 epochs")).to_be_visible()


def test_a_training_that_cannot_be_is_refused_with_the_reason(page: Page) -> None:
    page.get_by_label("Data set", exact=True).fill("nothing")
    page.get_by_role("button", name="Train").click()
    give_key(page)

    expect(page.locator("#training .fault")).to_contain_text("nothing")


@pytest.mark.whole
def test_offline_training_of_other_classes_shows_which_backbone_is_missing_and_why(
    browser: Browser, tmp_path: Path, models_dir: Path
) -> None:
    """With a real worker. The form also offers training on the network in service, which needs no download."""
    photos = draw_set(tmp_path / "photos", 6, ("cat", "fish"))
    with (
        waiting(tmp_path, photos, models_dir, worker="process") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        page.get_by_role("link", name="Teach").click()
        page.get_by_role("button", name="Train").click()
        give_key(page)

        expect(page.locator("#training")).to_contain_text("The training failed: ImageNet's weights can't be downloaded")
        expect(page.locator("#training")).to_contain_text('or "Starts from" on the page')
        expect(page.locator("#training")).to_contain_text(
            "For this training the backbone is ImageNet's VGG16, because the classes aren't those of the champion"
        )
        shot(page, "offline")


@pytest.mark.whole
def test_a_person_teaches_it_by_the_page_alone(browser: Browser, tmp_path: Path, jpeg: bytes) -> None:
    """With a real worker: pictures, training, decision, the new version in service, and back."""
    photos = draw_set(tmp_path / "photos", 60)
    draw_set(tmp_path / "more" / "test", 30, first=5000)
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, photos, command=""), Store(tmp_path / "models"), tmp_path / "data", Terminal())
    with (
        waiting(tmp_path, photos, worker="process") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        service_datasets.import_folder(tmp_path / "more", service.app.state.database.datasets, "pets")
        page.get_by_role("link", name="Teach").click()
        for label in ("cat", "dog"):
            pictures = [file(path.name, path.read_bytes(), "image/png") for path in (photos / label).iterdir()]
            page.get_by_label(f"Choose pictures of {label}").set_input_files(pictures)
            if label == "cat":
                give_key(page)
            expect(seen(page, f"0 new pictures of {label}, 60 known before.")).to_be_visible()
        page.get_by_role("button", name="Train").click()

        expect(seen(page, "The training is done: version 2 was published, and is now in service.")).to_be_visible()
        expect(seen(page, "promoted: accuracy")).to_be_visible()
        expect(page.get_by_role("table", name="The rules of promotion")).to_be_visible()
        shot(page, "decision")
        expect(page.locator("#champion")).to_contain_text("Version 2 serves")

        page.get_by_role("link", name="Models").click()
        page.get_by_role("button", name="Details of version 2").click()
        expect(page.get_by_role("table", name="Confusion matrix").get_by_role("row")).to_have_count(3)
        expect(page.get_by_role("img", name="Reliability diagram")).to_be_visible()
        shot(page, "version")
        page.get_by_role("button", name="Roll back").click()
        expect(page.locator("#champion")).to_contain_text("Version 1 serves")
