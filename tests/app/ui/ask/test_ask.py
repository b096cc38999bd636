"""Ask: a person adds pictures, and reads the answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from pydantic import SecretStr

from catdog.versions.measurements import Unknown
from tests.app.service import Service, encoded, publish, serving
from tests.app.ui.browsing import file, give_key, seen, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)>.jpg"
DROPPED = """(files) => {
    const transfer = new DataTransfer();
    for (const {name, bytes} of files) {
        transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
    }
    return transfer;
}"""
PASTE = """(transfer) => document.body.dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true})
)"""


def choose(page: Page, *files: object) -> None:
    page.get_by_label("Choose photos").set_input_files(list(files))  # type: ignore[arg-type]  # as `file` makes them


def cards(page: Page) -> list[str]:
    """Texts of the answers, newest first, once all have arrived."""
    expect(seen(page, "Looking at")).to_have_count(0)
    return page.get_by_role("list", name="Answers").locator("> li").all_inner_texts()


def test_a_picture_that_is_chosen_is_answered_as_the_service_does(page: Page, keeper: Service, jpeg: bytes) -> None:
    answer = keeper.client.post("/predict", content=jpeg).json()

    choose(page, file("rex.jpg", jpeg))

    (card,) = cards(page)
    assert f"{answer['label'].capitalize()}\n" in card
    assert "rex.jpg · version 1 · " in card
    for label, probability in answer["probabilities"].items():
        assert f"{label}\n{100 * probability:.1f}%" in card.replace("\n\n", "\n")
    shown = page.get_by_role("img", name="rex.jpg")
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 240]


def test_several_pictures_are_answered_and_a_broken_one_does_not_touch_the_others(page: Page, jpeg: bytes) -> None:
    choose(page, file("one.jpg", jpeg), file("two.jpg", b"no picture"), file("three.jpg", jpeg))

    three, two, one = cards(page)

    assert "three.jpg · version 1" in three
    assert "two.jpg" in two
    assert "This file isn’t a picture that can be read." in two
    assert "one.jpg · version 1" in one


@pytest.mark.parametrize(
    ("name", "media_type", "content", "told"),
    [
        ("letter.pdf", "application/pdf", b"%PDF-1.7", "This file isn’t a picture that can be read."),
        ("IMG_1.heic", "image/heic", b"\0\0\0\x18ftypheic", "Share the photo as JPEG"),
        ("empty.jpg", "image/jpeg", b"", "This file is empty."),
        ("half.png", "image/png", encoded(Image.effect_noise((64, 64), 50), "PNG")[:900], "damaged or incomplete"),
    ],
)
def test_a_wrong_file_is_explained_without_media_types(
    page: Page, name: str, media_type: str, content: bytes, told: str
) -> None:
    choose(page, file(name, content, media_type))

    (card,) = cards(page)
    assert told in card
    assert "image/" not in card
    assert "multipart" not in card


def test_a_picture_is_found_by_its_bytes_and_not_by_its_name(page: Page, jpeg: bytes) -> None:
    choose(page, file("photo.txt", jpeg, "text/plain"))

    assert "photo.txt · version 1" in cards(page)[0]


def test_a_picture_may_be_dropped_or_pasted(page: Page, jpeg: bytes) -> None:
    files = page.evaluate_handle(DROPPED, [{"name": "dropped.jpg", "bytes": list(jpeg)}])
    page.locator("#ask-drop").dispatch_event("drop", {"dataTransfer": files})
    pasted = page.evaluate_handle(DROPPED, [{"name": "pasted.jpg", "bytes": list(jpeg)}])
    page.evaluate(PASTE, pasted)

    newer, older = cards(page)

    assert "pasted.jpg · version 1" in newer
    assert "dropped.jpg · version 1" in older


def test_a_picture_may_be_taken_with_a_phone_s_camera(browser: Browser, keeper: Service, jpeg: bytes) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with visiting(browser, keeper.app.state.settings.address, **phone) as page:
        camera = page.get_by_label("Take a photo")
        expect(seen(page, "Take a photo")).to_be_visible()
        expect(camera).to_have_attribute("capture", "environment")

        camera.set_input_files(file("image.jpg", jpeg))

        assert "image.jpg · version 1" in cards(page)[0]


def test_a_file_s_name_is_only_ever_text(page: Page, jpeg: bytes) -> None:
    choose(page, file(EVIL, jpeg), file(f"broken {EVIL}", b"no picture"))

    broken, whole = cards(page)

    assert EVIL in whole
    assert f"broken {EVIL}" in broken
    assert page.locator("img[src=x]").count() == 0


def test_where_it_looked_is_laid_over_the_picture_when_that_is_asked_for(
    page: Page, keeper: Service, jpeg: bytes
) -> None:
    """Nothing is drawn at places with little evidence."""
    explanation = keeper.client.post("/predict?explain=true", content=jpeg).json()["explanation"]
    choose(page, file("one.jpg", jpeg))
    cards(page)
    picture, heat = page.get_by_role("img", name="one.jpg"), page.locator("canvas")
    expect(heat).to_have_count(0)

    toggle = page.get_by_role("button", name="Where it looked")
    toggle.click()

    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(seen(page, f"blue for {explanation['against']}.")).to_be_visible()
    assert heat.bounding_box() == picture.bounding_box()
    drawn = heat.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]")
    values = [value for row in explanation["contrast"] for value in row]
    shares = [max(0, (abs(value) / max(map(abs, values)) - 0.2) / 0.8) for value in values]
    assert drawn[3::4] == [pytest.approx(255 * 0.65 * share, abs=1) for share in shares]
    assert 0 in drawn[3::4]
    assert [red > blue for red, blue, alpha in zip(drawn[::4], drawn[2::4], drawn[3::4], strict=True) if alpha > 9] == [
        value > 0 for value, alpha in zip(values, drawn[3::4], strict=True) if alpha > 9
    ]
    toggle.click()
    expect(heat).to_have_count(0)
    expect(toggle).to_have_attribute("aria-pressed", "false")


def test_a_version_that_cannot_say_where_it_looked_answers_without(page: Page, keeper: Service, jpeg: bytes) -> None:
    champion = keeper.predictor.champion
    classic = champion.manifest.model_copy(update={"head": "classic"})
    keeper.predictor.swap(replace(champion, manifest=classic))

    choose(page, file("one.jpg", jpeg))

    assert "one.jpg · version 1" in cards(page)[0]
    expect(page.get_by_role("button", name="Where it looked")).to_have_count(0)


@pytest.fixture
def doubting(tmp_path: Path) -> Iterator[Service]:
    """A service with a version for which every photo is unknown."""
    publish(tmp_path, unknown=Unknown(usual_length=1.0, threshold=1e6, photos=10, kept=0.0))
    with serving(tmp_path, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def test_an_answer_that_comes_before_the_model_is_described_shows_how_far_it_is(
    browser: Browser, doubting: Service, jpeg: bytes
) -> None:
    """The first description of the model is lost on its way."""
    asked = []

    def lose_the_first(route: Route) -> None:
        asked.append(route)
        route.abort() if len(asked) == 1 else route.continue_()

    with visiting(browser, doubting.app.state.settings.address) as page:
        page.route("**/model", lose_the_first)
        page.reload()
        choose(page, file("teapot.jpg", jpeg))

        expect(seen(page, "It would be known from")).to_be_visible()


def test_a_picture_like_none_of_the_classes_is_said_to_be_so(browser: Browser, doubting: Service, jpeg: bytes) -> None:
    with visiting(browser, doubting.app.state.settings.address) as page:
        choose(page, file("teapot.jpg", jpeg))

        assert cards(page)[0].startswith("Not like any class I know\n")
        answer = doubting.client.post("/predict", content=jpeg).json()
        least = doubting.client.get("/model").json()["unknown"]["threshold"]
        expect(seen(page, f"It is {100 * answer['familiarity']:,.1f}% as familiar as a usual photo.")).to_be_visible()
        expect(seen(page, f"It would be known from {100 * least:,.1f}% on.")).to_be_visible()
        expect(page.locator(".bars")).to_have_class("bars dimmed")
        expect(page.locator("#said")).to_contain_text("teapot.jpg: not like any class I know; the most likely class is")


def test_the_classes_are_those_of_the_model(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Cat or dog?")
    expect(page.locator("#champion")).to_have_text("Version 1 serves: cat or dog, 50.0% accuracy on 100 photos")


def test_a_service_with_a_key_for_predictions_asks_for_it_at_once(
    browser: Browser, models_dir: Path, tmp_path: Path, jpeg: bytes
) -> None:
    predict_key = SecretStr("a key for predictions")
    with (
        serving(models_dir, data_dir=tmp_path, worker="none", predict_key=predict_key) as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        give_key(page, predict_key.get_secret_value())
        expect(page.locator("#champion")).to_contain_text("Version 1 serves")
        choose(page, file("one.jpg", jpeg))

        assert "one.jpg · version 1" in cards(page)[0]


def test_a_page_that_is_opened_while_the_model_loads_waits_for_it(browser: Browser, tmp_path: Path) -> None:
    """The store is empty at first."""
    with (
        serving(tmp_path, worker="none") as service,
        visiting(browser, service.app.state.settings.address) as page,
    ):
        expect(page.locator("#champion")).not_to_contain_text("Looking for the model")
        publish(tmp_path)

        expect(page.locator("#champion")).to_contain_text("Version 1 serves")
