"""Makes the icons of the installed page from icon.svg: `.venv/bin/python -m tests.app.ui.icons`."""

from playwright.sync_api import sync_playwright

from app.ui.routes import FOLDER
from tests.app.ui.browsing import ARGUMENTS, CHROMIUM

# (file, pixels, share of the side that the picture takes): a maskable icon may be cut to a circle
ICONS = (("180.png", 180, 0.8), ("192.png", 192, 1.0), ("512.png", 512, 1.0), ("512-maskable.png", 512, 0.6))
GROUND = {1.0: "transparent"}  # of an icon that is shown as it is; others get the page's
PAGE = """<body style="margin:0;display:grid;place-content:center;height:100vh;background:{ground}">
<div style="width:{size}px">{svg}</div></body>"""


def make() -> None:
    """Write the icons next to the other files of the page."""
    svg = (FOLDER / "icon.svg").read_text("utf-8")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        for name, pixels, share in ICONS:
            page = browser.new_page(viewport={"width": pixels, "height": pixels})
            page.set_content(PAGE.format(ground=GROUND.get(share, "#faf8f5"), size=share * pixels, svg=svg))
            page.screenshot(path=FOLDER / "icons" / name, omit_background=True)
            page.close()


if __name__ == "__main__":
    make()
