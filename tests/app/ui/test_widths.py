"""Nothing is cut off or scrolls sideways, from a small phone to a large screen, in any view and theme."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, encoded, publish, serving
from tests.app.ui.browsing import file, give_key, seen, shot, visiting
from tests.app.ui.test_outcome import KEPT_OUT
from tests.waiting import until

pytestmark = pytest.mark.browser

WIDTHS = (360, 390, 480, 600, 768, 952, 1024, 1280, 1600, 1920)
SHOTS = (390, 952, 1280)
SERIOUS = ("serious", "critical")
LONG = "a_rather_long_file_name_of_a_photo_without_any_space_in_it_as_cameras_make_them_0123456789.jpg"

# Elements wider than what they are in: the page, or a parent that cuts them off or scrolls.
TOO_WIDE = """() => {
    const found = [...document.querySelectorAll("body *")].filter((element) => {
        if (!element.checkVisibility() || element.closest(".unseen, pre, .button input, .skip")) return false;
        const { left, right, width } = element.getBoundingClientRect();
        const isOutside = width > 0 && (left < -1 || right > document.documentElement.clientWidth + 1);
        const { display, overflowX } = getComputedStyle(element);
        const isCut = element.scrollWidth > element.clientWidth + 1 && display !== "inline" && overflowX !== "visible";
        return isOutside || isCut;
    });
    return found.map(({ tagName, id, className, textContent }) => `${tagName} ${id} ${className} ${textContent}`);
}"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with pictures, a training that was not promoted, versions, and photos to review."""
    folder = tmp_path_factory.mktemp("filled")
    publish(folder / "models")
    with serving(folder / "models", data_dir=folder / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        members = {
            f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(9)
        }
        service.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
        finish_training(service, folder / "models")
        service.client.post("/predict", content=picture(1)).raise_for_status()
        yield service


def finish_training(service: Service, models_dir: Path) -> None:
    """A training with findings and epochs, whose version is not promoted and has figures."""
    jobs: Jobs = service.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "finetune", "promote": "auto"})
    lease = jobs.claim("the test")
    assert lease is not None
    photo = {"name": LONG, "label": "cat", "split": "train", "sha256": "0" * 64, "picture": 1, "note": "dog 97.0%"}
    finding = {"kind": "likely-mislabel", "sentence": f"1 photo: look at {LONG}", "photos": [photo], "count": 1}
    lease.report("findings", {"findings": 1}, findings=[finding])
    for number in (1, 2):
        metrics = {"log_loss": 0.9, "val_log_loss": 1.1, "accuracy": 0.5, "val_accuracy": 0.5}
        lease.report("epoch", {"epoch": number, "epochs": 2, **metrics})
    number = publish(models_dir, seed=8, decision=KEPT_OUT)
    figure = models_dir / str(number) / "report" / "confusion-matrix.png"
    figure.write_bytes(encoded(Image.new("RGB", (900, 700), "teal"), "PNG"))
    decision = {**KEPT_OUT.model_dump(mode="json"), "promoted": False}
    lease.end(Status.SUCCEEDED, KEPT_OUT.reason, version=number, decision=decision)


def check(page: Page, name: str) -> None:
    """At every width; with pictures and axe at those that are looked at."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width} pixels"
        assert page.evaluate(TOO_WIDE) == [], f"{name} at {width} pixels"
        if width in SHOTS:
            shot(page, f"{name}-{width}")
        if width in (390, 1280):
            found = Axe().run(page).response["violations"]
            nodes = [
                f"{one['id']}: {node['html']}" for one in found if one["impact"] in SERIOUS for node in one["nodes"]
            ]
            assert nodes == [], f"{name} at {width} pixels"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_fits_every_width(browser: Browser, filled: Service, theme: Any, jpeg: bytes) -> None:
    with visiting(browser, filled.app.state.settings.address, color_scheme=theme) as page:
        check(page, f"ask-{theme}")
        page.get_by_label("Choose photos").set_input_files([file(LONG, jpeg), file(f"broken {LONG}", b"")])
        expect(seen(page, "Looking at")).to_have_count(0)
        page.get_by_role("button", name="Where it looked").click()
        check(page, f"answers-{theme}")
        page.get_by_label("Choose photos").set_input_files([file(f"{n}.jpg", jpeg) for n in range(4)])
        expect(page.locator("#answers-summary")).not_to_contain_text("waiting")
        page.get_by_role("button", name="2.jpg: ").click()
        check(page, f"grid-{theme}")

        page.get_by_role("link", name="Teach").click()
        expect(seen(page, "Not promoted: its recall of cat")).to_be_visible()
        page.get_by_text("As numbers").click()
        check(page, f"teach-{theme}")

        page.get_by_role("link", name="Models").click()
        expect(page.get_by_role("list", name="Versions").get_by_role("heading", name="Version 2")).to_be_visible()
        check(page, f"models-{theme}")
        page.get_by_role("button", name="Details of version 2").click()
        expect(page.get_by_role("table", name="Metrics")).to_be_visible()
        check(page, f"version-{theme}")

        page.get_by_role("link", name="Review").click()
        give_key(page)
        expect(page.get_by_role("group", name="Picture 1 of")).to_be_visible()
        check(page, f"review-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_api_page_fits_every_width(browser: Browser, filled: Service, theme: Any) -> None:
    with visiting(browser, filled.app.state.settings.address, color_scheme=theme) as page:
        page.goto("/docs")
        for name in ("POST /feedback", "POST /predict", "GET /retrain/{job}/events"):
            page.locator("summary", has=page.get_by_text(name, exact=True)).click()
        check(page, f"docs-{theme}")
