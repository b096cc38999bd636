"""Makes the screenshot of the page in the docs: `.venv/bin/python -m tests.app.ui.screenshot docs/page.png`.

The shipped model classifies pictures that are drawn here, so that the screenshot can be redistributed. Its share of
known photos is higher than by default, because a drawing is less familiar than a photo.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import expect, sync_playwright

from tests.app.service import encoded, serving
from tests.app.ui.browsing import ARGUMENTS, CHROMIUM, file, visiting
from tests.places import ROOT
from tests.waiting import until

MODELS = ROOT / "models"
SIZE = 1200  # pixels per side of a drawing; twice what is shown, for smooth edges
COLOURS = 256  # of the PNG

Draw = ImageDraw.ImageDraw


def cat(draw: Draw) -> None:
    """A grey cat's face."""
    fur, dark, light = (150, 148, 150), (88, 84, 86), (232, 228, 224)
    for side in (-1, 1):
        draw.polygon([(600 + side * x, y) for x, y in ((390, 160), (90, 420), (400, 620))], fur)
        draw.polygon([(600 + side * x, y) for x, y in ((350, 250), (170, 420), (350, 540))], (222, 160, 150))
    draw.ellipse((190, 330, 1010, 1060), fur)
    for x in (-130, 0, 130):
        draw.polygon([(600 + x - 26, 340), (600 + x + 26, 340), (600 + x * 0.7, 520)], dark)
    for side in (-1, 1):
        for y in (640, 730):
            draw.polygon([(600 + side * 405, y), (600 + side * 405, y + 40), (600 + side * 270, y + 40)], dark)
        draw.ellipse((600 + side * 190 - 85, 560, 600 + side * 190 + 85, 720), (178, 200, 92))
        draw.ellipse((600 + side * 190 - 26, 565, 600 + side * 190 + 26, 715), (20, 20, 20))
        draw.ellipse((600 + side * 95 - 125, 770, 600 + side * 95 + 125, 970), light)
        for end in (-60, 10, 80):
            draw.line((600 + side * 150, 860, 600 + side * 520, 850 + end), (250, 245, 238), 6)
    draw.polygon([(545, 770), (655, 770), (600, 830)], (206, 110, 104))
    draw.line((600, 830, 600, 880), dark, 8)


def teapot(draw: Draw) -> None:
    """A blue teapot on a table."""
    glaze, shade, table = (72, 110, 158), (46, 76, 116), (204, 178, 146)
    draw.rectangle((0, 850, SIZE, SIZE), table)
    draw.ellipse((760, 430, 1080, 800), outline=glaze, width=60)
    draw.polygon([(380, 620), (380, 800), (240, 700), (110, 470), (190, 430), (290, 560)], glaze)
    draw.ellipse((310, 400, 890, 930), glaze)
    draw.ellipse((430, 380, 770, 480), shade)
    draw.ellipse((440, 350, 760, 450), glaze)
    draw.ellipse((555, 280, 645, 370), shade)
    draw.rounded_rectangle((450, 890, 750, 950), 20, shade)


def drawn(kind: Callable[[Draw], None], ground: tuple[int, int, int]) -> bytes:
    """A drawing as JPEG."""
    image = Image.new("RGB", (SIZE, SIZE), ground)
    kind(ImageDraw.Draw(image))
    return encoded(image.filter(ImageFilter.GaussianBlur(3)).resize((SIZE // 2, SIZE // 2)), "JPEG")


def take(target: Path) -> None:
    """Write the screenshot to `target`."""
    photos = [file("teapot.jpg", drawn(teapot, (226, 222, 212))), file("minka.jpg", drawn(cat, (118, 140, 160)))]
    with (
        tempfile.TemporaryDirectory() as data,
        serving(MODELS, data_dir=Path(data), worker="none", unknown_keep=0.995) as service,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
        visiting(browser, service.app.state.settings.address, viewport={"width": 980, "height": 1165}) as page,
    ):
        until(lambda: service.client.get("/health/ready").is_success)
        page.get_by_label("Choose photos").set_input_files(photos)
        expect(page.locator(".verdict")).to_have_count(len(photos))
        page.screenshot(path=target)
    Image.open(target).quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
