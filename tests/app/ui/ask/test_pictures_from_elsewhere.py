"""Ask: pictures from the webcam, from addresses, and from other windows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.service import Service
from tests.app.ui.browsing import seen, shot, visiting

pytestmark = pytest.mark.browser

GIVE = """([kind, data]) => {
    const transfer = new DataTransfer();
    for (const [type, text] of Object.entries(data)) transfer.setData(type, text);
    const options = { bubbles: true, cancelable: true };
    const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: transfer, ...options })
        : new DragEvent("drop", { dataTransfer: transfer, ...options });
    document.getElementById("ask-drop").dispatchEvent(event);
}"""


@contextmanager
def another_site(photo: bytes) -> Iterator[str]:
    """The address of a site with a photo, which other pages may fetch from /open.jpg and not from /closed.jpg."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.send_response(404 if self.path == "/gone.jpg" else 200)
            if self.path != "/closed.jpg":
                self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(photo)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def site(jpeg: bytes) -> Iterator[str]:
    with another_site(jpeg) as address:
        yield address


@pytest.fixture
def page(browser: Browser, keeper: Service, site: str) -> Iterator[Page]:
    with visiting(browser, keeper.app.state.settings.address, elsewhere=site) as page:
        expect(page.locator("#champion")).to_contain_text("serves")  # the page listens by then
        yield page


def give(page: Page, kind: str, **data: str) -> None:
    page.evaluate(GIVE, [kind, {name.replace("_", "/"): text for name, text in data.items()}])


def test_a_pasted_address_is_fetched_by_the_browser(page: Page, site: str) -> None:
    give(page, "paste", text_plain=f"{site}/my%20cat/open.jpg?size=9")

    expect(seen(page, "open.jpg · version 1")).to_be_visible()


def test_a_picture_is_dragged_from_another_page_even_out_of_a_link(page: Page, site: str) -> None:
    image = f'<a href="{site}/story.html"><img alt="" src="{site}/open.jpg?a=1&amp;b=2"></a>'

    give(page, "drop", **{"text/html": image, "text/uri-list": f"{site}/story.html"})

    expect(seen(page, "open.jpg · version 1")).to_be_visible()


def test_a_picture_that_the_browser_may_not_fetch_says_what_to_do_instead(page: Page, site: str) -> None:
    give(page, "paste", text_plain=f"{site}/closed.jpg")
    expect(page.locator("#answers-report")).to_contain_text(f"{site.removeprefix('http://')} doesn’t allow other pages")
    expect(page.locator("#answers-report")).to_contain_text("Save the picture, and drop the file here.")

    give(page, "paste", text_plain=f"{site}/gone.jpg")
    expect(page.locator("#answers-report")).to_contain_text("There is no picture at this address")


def test_pasted_text_that_is_no_address_is_left_alone(page: Page) -> None:
    give(page, "paste", text_plain="javascript:alert(1) file:///etc/passwd hello")

    expect(page.locator("#answers > li")).to_have_count(0)
    expect(page.locator("#answers-report")).to_be_empty()


def test_the_webcam_takes_a_picture(page: Page) -> None:
    page.get_by_role("button", name="Use the webcam").click()
    take = page.get_by_role("dialog").get_by_role("button", name="Take the picture")
    expect(take).to_be_enabled()
    shot(page, "webcam")
    take.click()

    expect(seen(page, "webcam.jpg · version 1")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_webcam_can_be_left_without_a_picture(page: Page) -> None:
    page.get_by_role("button", name="Use the webcam").click()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#answers > li")).to_have_count(0)
