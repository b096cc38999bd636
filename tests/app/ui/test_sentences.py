"""What the service says is shown in the reader's language: every sentence of it has a translation."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from app.errors import TooLarge
from app.ui.routes import FOLDER
from catdog.datasets.errors import DatasetInUse
from catdog.errors import VersionNotFound
from tests.app.service import Service
from tests.app.ui.browsing import visiting
from tests.app.ui.sentences import templates
from tests.app.ui.test_texts import LANGUAGES
from training.evaluation import promotion_rule
from training.evaluation.promotion_rule import Answers

OTHERS = LANGUAGES[1:]  # the service speaks the first one


def translations(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / "sentences" / f"{language}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_of_the_service_has_a_translation(language: str) -> None:
    assert len(templates()) > 200
    assert templates() - translations(language).keys() == set()


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_is_of_a_sentence_of_the_service_or_of_a_case_of_one(language: str) -> None:
    said = [re.compile(re.escape(one).replace(r"\{\}", ".*")) for one in templates()]
    longer = {key for key in translations(language) if len(re.findall(r"[a-z]+", key)) > 2}

    assert {key for key in longer - templates() if not any(one.fullmatch(key) for one in said)} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_uses_only_values_that_its_sentence_has(language: str) -> None:
    for sentence, translation in translations(language).items():
        assert "{}" not in translation
        assert all(1 <= int(place) <= sentence.count("{}") for place in re.findall(r"\{(\d+)\}", translation)), sentence


def kept_out() -> str:
    """The reason of a decision against a candidate that is always wrong."""
    labels = np.repeat([0, 1], 40)
    right = np.eye(2)[labels] * 0.8 + 0.1
    return promotion_rule.decide(labels, Answers(1 - right), Answers(right), ("cat", "dog"), version=1).reason


SAID = {  # sentences of the service, and the beginning of what the page shows
    str(VersionNotFound(7, (1, 2))): "es gibt keine Version 7; es gibt: 1, 2",
    str(TooLarge(20_971_520)): "der Upload überschreitet die Grenze von 20.971.520 Bytes (20 MiB); sende weniger",
    str(DatasetInUse("pets", "ab", "running")): "ein Training mit dem Datensatz pets läuft (Auftrag ab); warte",
    kept_out(): "nicht eingesetzt: Trefferquote 0,0\u00a0% gegen 100,0\u00a0% bei 80 Fotos (p = 8.3e-25, signifikant",
    "3 of 50 new labels in pets, not trained yet": "3 von 50 neuen Beschriftungen in pets, noch nicht trainiert",
    "50 new labels and drift for 2 hours": "50 neue Beschriftungen und Drift seit 2 Stunden",
    "12 photos can't be read and will be left out; repair or remove": "nicht lesbar, werden ausgelassen: 12 Fotos; rep",
    "the bytes are not an image; send one of JPEG, PNG": "die Bytes sind kein Bild; sende eines von JPEG, PNG",
    "something that nobody has translated": "something that nobody has translated",
}


@pytest.mark.browser
def test_what_the_service_says_is_shown_in_german(browser: Browser, service: Service) -> None:
    with visiting(browser, service.app.state.settings.address, "de") as page:
        script = "said => import('/page/parts/sentences.js').then(({ worded }) => said.map(worded))"
        shown = page.evaluate(script, list(SAID))

        assert [one[: len(wanted)] for one, wanted in zip(shown, SAID.values(), strict=True)] == list(SAID.values())
        page.goto("/#gallery/nothing-like-this")
        page.get_by_role("dialog").get_by_role("textbox").fill("ein falscher Schlüssel")
        page.get_by_role("dialog").get_by_role("textbox").press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("falsch")


@pytest.mark.browser
def test_in_the_language_of_the_service_nothing_is_translated_or_loaded(browser: Browser, service: Service) -> None:
    with visiting(browser, service.app.state.settings.address, "en") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        expect(page.locator("#champion")).to_contain_text("serves")

        assert not [url for url in asked if "/sentences/" in url and url.endswith(".json")]
