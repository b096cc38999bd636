"""When a trained version is promoted, and what it takes over from the version before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catdog.engines.openvino import OpenVINOEngine
from catdog.versions import golden
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw_set
from tests.training.publishing.test_pipeline import TINY, run
from training.data import dataset, trained_on
from training.evaluation import ood
from training.fitting.config import Config
from training.fitting.observer import Phase
from training.publishing.pipeline import Outcome, Request


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> tuple[Path, Outcome]:
    """A folder with a store and data in it, and its first version."""
    folder = tmp_path_factory.mktemp("first")
    return folder, run(folder, Request(TINY, split_photos, "test", job="7d1f"))


def against(split_photos: Path, seed: int = 1) -> Request:
    """A candidate as good as the first version, on another backbone."""
    return Request(replace(TINY, seed=seed), split_photos, "test", promote="auto", quantize=False)


def confused(tmp_path: Path, split_photos: Path) -> Request:
    """A candidate trained with swapped labels; it is tested on photos with the right labels."""
    photos = dataset.read(split_photos)
    swapped = tuple(replace(photo, label=1 - photo.label) for photo in photos.splits["train"])
    return Request(replace(TINY, seed=2), photos.with_only({"train": swapped}), "test", promote="auto", quantize=False)


def test_the_first_version_meets_no_champion(first: tuple[Path, Outcome]) -> None:
    _, outcome = first

    assert outcome.promoted
    assert outcome.decision.champion is None
    assert outcome.version.manifest.decision == outcome.decision
    assert outcome.version.manifest.lineage.job == "7d1f"


def test_a_version_keeps_answers_that_its_engine_gives_again(first: tuple[Path, Outcome]) -> None:
    version = first[1].version
    engine = OpenVINOEngine(version.network(), "f32")
    assert version.manifest.golden is not None

    golden.check(golden.answers(engine, version.manifest.temperature), version.manifest.golden, "f32")


def test_a_version_says_how_many_photos_it_answers_a_second(first: tuple[Path, Outcome]) -> None:
    speed = first[1].version.manifest.speed

    assert speed is not None
    assert speed.photos_per_second > 1
    assert (speed.precision == "int8") is (first[1].version.network().int8 is not None)


def test_the_rule_lets_an_equal_candidate_in(first: tuple[Path, Outcome], split_photos: Path) -> None:
    folder, _ = first
    store = Store(folder / "models")
    champion = store.champion()

    outcome = run(folder, against(split_photos))

    assert outcome.promoted, outcome.reason
    assert outcome.decision.champion == champion
    assert outcome.reason == outcome.decision.reason
    assert store.champion() == outcome.version.number


def test_the_rule_keeps_a_worse_candidate_out(first: tuple[Path, Outcome], split_photos: Path, tmp_path: Path) -> None:
    folder, _ = first
    store = Store(folder / "models")
    champion = store.champion()

    outcome = run(folder, confused(tmp_path, split_photos))

    assert not outcome.promoted
    number = outcome.version.number
    assert outcome.reason.startswith("not promoted: accuracy 0.0% against 100.0% on 60 photos")
    assert outcome.reason.endswith(
        f". To promote it anyway: python -m training promote {number}, or POST /models/{number}/promote"
    )
    assert store.champion() == champion
    assert store.open(outcome.version.number).manifest.decision == outcome.decision


def test_a_training_that_nobody_asked_to_promote_is_decided_by_the_rule(split_photos: Path) -> None:
    assert Request(TINY, split_photos, "test").promote == "auto"


def test_too_few_test_photos_keep_a_version_out(first: tuple[Path, Outcome], split_photos: Path) -> None:
    """For any result: five photos can't distinguish versions."""
    folder, _ = first
    photos = dataset.read(split_photos)
    few = photos.with_only({"test": photos.splits["test"][::12]})

    outcome = run(folder, replace(against(split_photos), data=few))

    assert not outcome.promoted
    assert outcome.reason.startswith(
        "not promoted: too few test photos (5) to tell whether it is better or worse; about 55 more are needed"
    )


def test_a_version_keeps_which_photos_it_and_the_one_before_were_trained_on(
    first: tuple[Path, Outcome], split_photos: Path, tmp_path: Path
) -> None:
    folder, _ = first
    photos = dataset.read(split_photos)
    others = dataset.read(draw_set(tmp_path, 20, first=500))
    request = Request(Config(), others, "test", promote="never", quantize=False)

    version = run(folder, request).version

    record = trained_on.read(version.path)
    mine = others.splits["train"]
    ours = trained_on.contents(photos.splits["train"])
    assert record.is_complete
    assert set(record.contents) == {*ours, *trained_on.contents(mine)}
    assert not record.of_backbone.any(), "two heads on random convolutions"
    assert not np.isin(trained_on.contents(photos.splits["test"]), record.contents).any()


def test_a_head_on_another_one_compares_with_its_own_photos(first: tuple[Path, Outcome], split_photos: Path) -> None:
    """The photos that the other was trained on may have been removed since, because they were wrong."""
    folder, outcome = first
    photos = dataset.read(split_photos)
    fewer = photos.with_only({"train": photos.splits["train"][:10] + photos.splits["train"][-10:]})
    request = Request(Config(backbone="1"), fewer, "test", promote="never", quantize=False)

    found, before = run(folder, request).version.detector(), outcome.version.detector()

    assert found is not None
    assert found.bank is not None
    assert before is not None
    assert before.bank is not None
    assert (len(found.bank.features), len(before.bank.features)) == (20, 32)
    assert found.known.set_by is None


def test_few_photos_to_validate_with_are_joined_by_those_that_a_head_is_fitted_on(
    first: tuple[Path, Outcome], split_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its convolutions are frozen, so they were trained on neither."""
    joined = first[1].version.manifest.unknown
    monkeypatch.setattr(ood, "ENOUGH", 12)
    alone = run(tmp_path, Request(TINY, split_photos, "test", quantize=False)).version.manifest.unknown

    assert joined is not None
    assert alone is not None
    assert (joined.photos, alone.photos) == (12 + 32, 12)


def test_who_asks_for_it_gets_it_whatever_the_rule_says(
    first: tuple[Path, Outcome], split_photos: Path, tmp_path: Path
) -> None:
    folder, _ = first
    outcome = run(folder, replace(confused(tmp_path, split_photos), promote="always"))
    rolled_back_to = Store(folder / "models").roll_back()

    assert outcome.promoted
    assert outcome.reason.startswith("promoted, as requested; decision of the promotion rule: not promoted: ")
    assert rolled_back_to == outcome.decision.champion

    kept = run(folder, replace(against(split_photos), promote="never"))
    assert not kept.promoted
    assert kept.reason.startswith("not promoted, as requested; decision of the promotion rule: promoted: ")


def test_a_champion_that_came_meanwhile_stays(first: tuple[Path, Outcome], split_photos: Path) -> None:
    folder, _ = first
    store = Store(folder / "models")
    other = run(folder, replace(against(split_photos), promote="never")).version.number
    measured_against = store.champion()

    class Colleague(Recorder):
        def phase(self, name: Phase) -> None:
            if name == "publishing":
                store.promote(other)

    outcome = run(folder, against(split_photos, seed=3), Colleague())

    assert outcome.decision.promote
    assert not outcome.promoted
    assert outcome.reason == (
        "published but not promoted: it was measured against"
        f" version {measured_against}, but version {other} is in service now"
    )
    assert store.champion() == other
    assert outcome.version.number in store.versions()
