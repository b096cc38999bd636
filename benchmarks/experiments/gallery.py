"""Measures the page's gallery: its first picture, frames a second, and lists by the model's opinion.

    python -m benchmarks.experiments.gallery [--pictures 100000]

It makes a data set of generated pictures in a temporary folder, starts the service with the shipped version, and opens
the gallery in Chromium (Debian's package `chromium`), which draws without a GPU. The time to the first picture is that
from the navigation to the first tile whose picture is decoded, once while the thumbnails are not made yet, and again
when they are. The frames are counted while the page scrolls through the data set, by some rows a frame. The features of
all pictures are cached, as after a training, so the model's opinions cost what lists by opinion cost: the time from the
choice of an opinion to the first picture, and until the whole list is known, for the first time and again.
"""

import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import generated
from benchmarks.harness.processes import ROOT, python, running
from catdog import images
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import Added, New
from catdog.engines.openvino import OpenVINOEngine
from catdog.features import FOLDER, Entry, FeatureCache, fingerprint, thumbnail
from catdog.versions.store import Store

NAME = "many"
LABELS = ("cat", "dog")
DRAWN = 40  # different pictures; the others are copies with another comment
SIZE, QUALITY = (320, 240), 60
PART = 2_000  # pictures added in one transaction
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu")
KEY = "a key for this benchmark"
WINDOW = ViewportSize(width=1280, height=900)
SECONDS = 5  # of scrolling
STEPS_PIXELS = (40, 400)  # a frame: reading speed, and as fast as a wheel goes

OPINIONS = ("unsure", "disagrees")
CHOSEN = """async (opinion) => {
    const began = performance.now();
    performance.clearResourceTimings();
    const select = document.querySelector("#gallery-opinion");
    select.value = opinion;
    select.dispatchEvent(new Event("change"));
    const isListed = ({ name, responseEnd }) => responseEnd && name.includes(`/pictures?opinion=${opinion}`);
    const summary = () => document.querySelector("#gallery-summary").textContent;
    const before = summary();
    let [first, changed] = [null, false];
    for (;;) {
        await new Promise(requestAnimationFrame);
        changed ||= summary() !== before;
        const image = document.querySelector("#tile-0 img[src]:not([hidden])");
        const isShown = image?.complete && image.naturalWidth;
        if (first === null && isShown && performance.getEntriesByType("resource").some(isListed)) {
            first = performance.now() - began;
        }
        if (first !== null && changed && /^[0-9,]+ pictures?$/.test(summary())) {
            return { first, whole: performance.now() - began, summary: summary() };
        }
    }
}"""
FIRST_PICTURE = """async () => {
    for (;;) {
        const image = document.querySelector("#gallery-tiles img[src]");
        if (image?.complete && image.naturalWidth) return performance.now();
        await new Promise(requestAnimationFrame);
    }
}"""
SCROLLED = """async ([seconds, step]) => {
    const moments = [await new Promise(requestAnimationFrame)];
    while (moments.at(-1) - moments[0] < 1000 * seconds) {
        scrollBy(0, step);
        moments.push(await new Promise(requestAnimationFrame));
    }
    const frames = moments.slice(1).map((moment, place) => moment - moments[place]).sort((one, other) => one - other);
    return { frames: frames.length, slow: frames[Math.floor(0.99 * frames.length)], at: scrollY };
}"""


def fill(data_dir: Path, pictures: int) -> None:
    """Make the data set; pictures of different content each."""
    drawn = [_small(generated(seed)) for seed in range(DRAWN)]
    database = Database.of(data_dir)
    datasets, look = Datasets(database, data_dir), _Features(data_dir, drawn)
    for first in range(0, pictures, PART):
        with datasets.incoming() as folder:
            new = list(_files(folder, drawn, range(first, min(first + PART, pictures))))
            look.add(datasets.add(NAME, new, "import"))
    database.close()


class _Features:
    """Caches features for the champion, as a training does; copies have those of their original."""

    def __init__(self, data_dir: Path, drawn: list[bytes]) -> None:
        store = Store(ROOT / "models")
        network = store.open(store.champion()).network()
        engine = OpenVINOEngine(network)
        pixels = [images.decode(photo) for photo in drawn]
        self._entries = [Entry(engine.infer(one[np.newaxis]).features[0], thumbnail(one)) for one in pixels]
        self._cache = FeatureCache(data_dir / FOLDER / f"{fingerprint(network, engine.precision)}.sqlite")

    def add(self, added: Iterable[Added]) -> None:
        of_number = {one.picture.sha256: int(one.picture.name.removesuffix(".jpg")) for one in added}
        self._cache.add({sha256: self._entries[number % DRAWN] for sha256, number in of_number.items()})


def _small(photo: bytes) -> bytes:
    """The photo as small as those of public data sets, so that the disk has room for very many."""
    file = BytesIO()
    Image.open(BytesIO(photo)).resize(SIZE).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _files(folder: Path, drawn: list[bytes], numbers: range) -> Iterator[New]:
    for number in numbers:
        file = folder / str(number)
        comment = b"\xff\xfe\x00\x06" + number.to_bytes(4)  # a JPEG segment of 6 bytes
        content = drawn[number % DRAWN]
        file.write_bytes(content[:2] + comment + content[2:])
        yield New(file, f"{number}.jpg", LABELS[number % len(LABELS)])


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    """The gallery in a new window, and the milliseconds until its first picture."""
    page = browser.new_page(viewport=WINDOW)
    page.goto(f"{address}/page/icon.svg")
    page.evaluate("key => sessionStorage.setItem('catdog-key', key)", KEY)
    page.goto(f"{address}/#gallery/{NAME}")
    milliseconds: float = page.evaluate(FIRST_PICTURE)
    return page, milliseconds


def measure(address: str, executable: str) -> Iterator[str]:
    """The rows of the results."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS)) as browser,
    ):
        for state in ("not made yet", "made before"):
            page, milliseconds = opened(browser, address)
            yield f"| first picture, thumbnails {state} | {milliseconds / 1000:.2f} s |"
        for step in STEPS_PIXELS:
            found = page.evaluate(SCROLLED, [SECONDS, step])
            rate = found["frames"] / SECONDS
            yield f"| scrolling {step} pixels a frame | {rate:.0f} frames a second, 99% within {found['slow']:.0f} ms |"
        page.evaluate("scrollTo(0, 0)")
        yield from by_opinion(page)


def by_opinion(page: Page) -> Iterator[str]:
    """The rows of lists by the model's opinion."""
    for opinion in OPINIONS:
        found = page.evaluate(CHOSEN, opinion)
        said = f"{found['first'] / 1000:.2f} s, all {found['summary']} after {found['whole'] / 1000:.2f} s"
        yield f"| first picture that is {opinion} | {said} |"
        rate = page.evaluate(SCROLLED, [SECONDS, STEPS_PIXELS[0]])["frames"] / SECONDS
        page.evaluate("scrollTo(0, 0)")
        yield f"| scrolling these {STEPS_PIXELS[0]} pixels a frame | {rate:.0f} frames a second |"


def main() -> None:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    pictures = parser.parse_args().pictures
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("needs Chromium: install Debian's package `chromium`")
    with TemporaryDirectory() as name:
        data_dir = Path(name) / "data"
        began = perf_counter()
        fill(data_dir, pictures)
        print(f"{pictures:,} pictures added in {perf_counter() - began:.0f} s", file=sys.stderr)
        settings = {
            "CATDOG_ADMIN_KEY": KEY,
            "CATDOG_DATA_DIR": str(data_dir),
            "CATDOG_MODELS_DIR": str(ROOT / "models"),
        }
        settings["CATDOG_WORKER"] = "none"
        with running(python("app"), settings, Path(name)) as service:
            address = f"http://127.0.0.1:{service.port}"
            service.seconds_until(lambda: _is_ready(address))
            print(f"{pictures:,} pictures, {Machine.this().where}\n\n| what | result |\n|---|---|")
            for row in measure(address, executable):
                print(row, flush=True)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
