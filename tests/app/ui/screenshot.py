"""Makes the screenshot of the page in the docs: `.venv/bin/python -m tests.app.ui.screenshot docs/page.png`.

The shipped model classifies two of the page's samples, which are drawn, so that the screenshot can be redistributed.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.app.service import serving
from tests.app.ui.browsing import ARGUMENTS, CHROMIUM, visiting
from tests.places import SHIPPED_MODELS
from tests.waiting import until

COLOURS = 256  # of the PNG
SAMPLES = ("teapot", "cat")  # the last one is shown first


def take(target: Path) -> None:
    """Write the screenshot to `target`."""
    with (
        tempfile.TemporaryDirectory() as data,
        serving(SHIPPED_MODELS, data_dir=Path(data), worker="none") as service,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
        visiting(browser, service.app.state.settings.address, viewport={"width": 980, "height": 1165}) as page,
    ):
        until(lambda: service.client.get("/health/ready").is_success)
        for place, name in enumerate(SAMPLES, 1):
            page.get_by_role("button", name=f"Try the sample {name}").click()
            expect(page.locator(".verdict")).to_have_count(place)
        page.get_by_role("button", name="Where it looked").first.click()
        page.screenshot(path=target)
    Image.open(target).quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
