"""Makes the pictures of the page in the docs: `.venv/bin/python -m tests.app.ui.screenshot docs/pictures`.

They show the shipped model and drawn pictures, so that they can be redistributed.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.ui.routes import FOLDER
from tests.app.service import ADMIN, Service, serving
from tests.app.ui.browsing import ARGUMENTS, CHROMIUM, give_key, visiting
from tests.places import SHIPPED_MODELS
from tests.waiting import until

COLOURS = 256  # of a PNG
SAMPLES = ("teapot", "cat")  # the last one is shown first
SIZE = {"width": 980, "height": 1165}
EACH = 12  # pictures of each class in the data set


def take(folder: Path) -> None:
    """Write page.png (Ask), page-teach.png and page-models.png into `folder`."""
    with (
        tempfile.TemporaryDirectory() as data,
        serving(SHIPPED_MODELS, data_dir=Path(data), worker="none") as service,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        until(lambda: service.client.get("/health/ready").is_success)
        archive = {"file": drawn_pictures()}
        service.client.post("/datasets/pets/archive", files=archive, headers=ADMIN).raise_for_status()
        with shown(browser, service, folder / "page.png") as page:
            ask(page)
        with shown(browser, service, folder / "page-teach.png") as page:
            teach(page)
        with shown(browser, service, folder / "page-models.png", color_scheme="dark") as page:
            look_at_models(page)


@contextmanager
def shown(browser: Browser, service: Service, target: Path, **options: Any) -> Iterator[Page]:
    """A tab with the page, whose picture is written in the end."""
    with visiting(browser, service.app.state.settings.address, viewport=SIZE, **options) as page:
        yield page
        page.screenshot(path=target)
    Image.open(target).quantize(COLOURS).save(target, optimize=True)


def ask(page: Page) -> None:
    for place, name in enumerate(SAMPLES, 1):
        page.get_by_role("button", name=f"Try the sample {name}").click()
        expect(page.locator(".verdict")).to_have_count(place)
    page.get_by_role("button", name="Where it looked").first.click()


def teach(page: Page) -> None:
    page.get_by_role("link", name="Teach").click()
    page.locator("a", has_text="Look at pictures").click()
    give_key(page)
    page.wait_for_load_state("networkidle")


def look_at_models(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Details of version 1").click()
    expect(page.get_by_role("img", name="Reliability diagram: ")).to_be_visible()
    page.get_by_role("table", name="Confusion matrix").evaluate("table => scrollTo(0, table.offsetTop - 100)")


def drawn_pictures() -> bytes:
    """A ZIP with pictures of each class: the samples, turned, mirrored and cropped."""
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for label in ("cat", "dog"):
            sample = Image.open(FOLDER / "samples" / f"{label}.jpg")
            for number in range(EACH):
                picture = ImageOps.mirror(sample) if number % 2 else sample
                picture = picture.rotate(5 * (number % 7) - 15, Image.Resampling.BICUBIC)
                margin = 50 + 2 * number
                encoded = BytesIO()
                ImageOps.crop(picture, margin).save(encoded, "JPEG", quality=85)
                archive.writestr(f"{label}/{number}.jpg", encoded.getvalue())
    return content.getvalue()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
