"""A training called from Python: its events, its published version, and when that is promoted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.engines.openvino import OpenVINOEngine
from catdog.network import weights
from catdog.versions import golden
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw_set
from training.data import dataset, features, trained_on
from training.evaluation import ood
from training.fitting import backbones, linear_head, strategies
from training.fitting.config import Config, Stage, Strategy
from training.fitting.observer import Phase
from training.publishing.pipeline import Outcome, Request, train

TINY = Config(backbone="random", width=1 / 32)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> tuple[Path, Outcome]:
    """A folder with a store and data in it, and its first version."""
    folder = tmp_path_factory.mktemp("first")
    return folder, run(folder, Request(TINY, split_photos, "test", job="7d1f"))


def run(folder: Path, request: Request, observer: Recorder | None = None) -> Outcome:
    return train(request, Store(folder / "models"), folder / "data", observer or Recorder())


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


def test_photos_that_the_convolutions_learnt_from_do_not_say_what_is_unknown(
    split_photos: Path, tmp_path: Path
) -> None:
    """Features of such photos are longer. A head on a network that was trained on them keeps its detector."""
    every_layer = replace(TINY, strategy="full", stages=(Stage(32, 1, 8),), policy="float32")
    photos = dataset.read(split_photos)

    full = run(tmp_path, Request(every_layer, photos, "test", quantize=False)).version.manifest
    head = run(tmp_path, Request(Config(), photos, "test", quantize=False)).version
    known = photos.with_only({"validation": photos.splits["train"][:10]})
    unheard = run(tmp_path, Request(Config(backbone="1"), known, "test", quantize=False)).version.manifest

    assert full.unknown is not None
    assert full.unknown.photos == len(photos.splits["validation"]) == 12
    assert full.unknown.set_by is None
    assert head.manifest.unknown == full.unknown, "as many photos set it once more"
    assert unheard.unknown == full.unknown.model_copy(update={"set_by": 1})
    assert trained_on.read(head.path).by_backbone().contents.size == 32
    head.verify()


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


def test_what_is_published_and_promoted_is_so_within_what_is_given(split_photos: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    seen = []

    @contextmanager
    def within() -> Iterator[None]:
        seen.append(store.versions())
        yield
        seen.append(store.versions())

    train(Request(TINY, split_photos, "test", quantize=False), store, tmp_path / "data", Recorder(), within)

    assert seen == [(), (1,), (1,), (1,)]


def test_nothing_is_published_where_that_is_refused(split_photos: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")

    @contextmanager
    def within() -> Iterator[None]:
        raise InterruptedError
        yield

    with pytest.raises(InterruptedError):
        train(Request(TINY, split_photos, "test", quantize=False), store, tmp_path / "data", Recorder(), within)

    assert store.versions() == ()


def test_a_head_has_its_temperature_from_photos_that_it_was_not_fitted_on(split_photos: Path, tmp_path: Path) -> None:
    """Those are training photos: other validation photos change the metrics, but not the version."""
    photos = dataset.read(split_photos)
    fewer = photos.with_only({"validation": photos.splits["validation"][:3]})

    one = run(tmp_path / "one", Request(TINY, photos, "test", quantize=False)).version.manifest
    other = run(tmp_path / "other", Request(TINY, fewer, "test", quantize=False)).version.manifest

    assert one.temperature == other.temperature != 1.0
    assert one.weights == other.weights
    assert one.metrics["validation"].photos == 12
    assert other.metrics["validation"].photos == 3


def test_a_single_photo_of_a_class_leaves_the_temperature_to_the_validation_photos(
    split_photos: Path, tmp_path: Path
) -> None:
    photos = dataset.read(split_photos)
    dogs = tuple(photo for photo in photos.splits["train"] if photo.label)
    lonely = photos.with_only({"train": (photos.splits["train"][0], *dogs)})

    version = run(tmp_path, Request(TINY, lonely, "test", quantize=False)).version

    assert version.manifest.lineage.dataset.photos["train"] == {"cat": 1, "dog": 16}
    assert version.manifest.temperature != 1.0


@pytest.mark.parametrize("strategy", ["full", "finetune"])
def test_what_is_trained_and_a_head_on_it_are_stored_in_half_the_bytes(
    strategy: Strategy, split_photos: Path, tmp_path: Path
) -> None:
    config = replace(TINY, strategy=strategy, unfreeze=5, stages=(Stage(32, 1, 8),), policy="float32")

    full = run(tmp_path, Request(config, split_photos, "test", quantize=False)).version
    head = run(tmp_path, Request(Config(backbone="champion"), split_photos, "test", quantize=False)).version

    assert (head.manifest.lineage.parent, head.number) == (full.number, full.number + 1)
    for version in (full, head):
        assert version.manifest.weights.dtype == "float16"
        assert version.manifest.golden == golden.record(version.network("f32"), version.manifest.temperature)


def test_an_observer_is_told_of_the_phases_and_epochs(split_photos: Path, tmp_path: Path) -> None:
    head, finetune = Recorder(), Recorder()
    request = Request(TINY, split_photos, "test")

    run(tmp_path, request, head)
    config = replace(TINY, strategy="finetune", stages=(Stage(224, 1, 8),), policy="float32")
    run(tmp_path, replace(request, config=config), finetune)

    assert head.phases == ["quantizing", "features", "fitting", "measuring", "publishing"]
    assert finetune.phases == ["features"] * 2 + ["fitting"] * 2 + ["quantizing", "measuring", "publishing"]
    assert [row["epoch"] for row, _ in finetune.epochs] == [1]
    assert np.isfinite(finetune.epochs[0][0]["val_log_loss"])


def test_the_last_blocks_are_trained_at_several_picture_sizes(split_photos: Path, tmp_path: Path) -> None:
    stages = (Stage(32, 1, 8), Stage(64, 1, 8))
    config = replace(TINY, strategy="finetune", unfreeze=2, stages=stages, learning_rate=1e-2, policy="float32")
    recorder = Recorder()

    version = run(tmp_path, Request(config, split_photos, "test", quantize=False), recorder).version

    start, trained = weights.halved(backbones.random(TINY.width, TINY.seed)), version.network("f32").arrays
    assert [row["pixels"] for row, _ in recorder.epochs] == [32, 64]
    assert np.array_equal(trained["block3_conv3/kernel"], start["block3_conv3/kernel"])
    assert not np.array_equal(trained["block4_conv1/kernel"], start["block4_conv1/kernel"])


def test_no_engine_takes_memory_while_blocks_are_trained(split_photos: Path, tmp_path: Path) -> None:
    class Watching(Recorder):
        def epoch(self, row: Mapping[str, float], epochs: int) -> None:
            kept.append(len(features._engines))

    kept: list[int] = []
    config = replace(TINY, strategy="finetune", stages=(Stage(32, 1, 8),), policy="float32")
    run(tmp_path, Request(config, split_photos, "test", quantize=False), Watching())

    assert kept == [0]


def test_a_fine_tuning_starts_from_a_head_on_some_photos_of_every_class(
    split_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted_on: list[np.ndarray] = []
    fit = linear_head.fit

    def recorded(train: tuple[np.ndarray, np.ndarray], *others: Any) -> linear_head.Fitted:
        fitted_on.append(train[1])
        return fit(train, *others)

    monkeypatch.setattr(strategies, "STARTED_ON", 10)
    monkeypatch.setattr(linear_head, "fit", recorded)
    config = replace(TINY, strategy="finetune", stages=(Stage(32, 1, 8),), policy="float32")
    version = run(tmp_path, Request(config, split_photos, "test", quantize=False)).version

    (labels,) = fitted_on
    assert len(labels) <= 10
    assert set(labels) == {0, 1}
    assert version.manifest.lineage.dataset.photos["train"]["cat"] > 5


def test_photos_that_are_left_out_are_in_no_split_and_stay_out_when_the_folder_is_read_again(
    split_photos: Path, tmp_path: Path
) -> None:
    photos = dataset.read(split_photos)
    left_out = tuple(photos.splits[split][0].sha256[:16] for split in ("train", "validation"))

    version = run(tmp_path, Request(replace(TINY, left_out=left_out), split_photos, "test", quantize=False)).version

    used = version.manifest.lineage.dataset.photos
    for split in ("train", "validation"):
        assert sum(used[split].values()) == len(photos.splits[split]) - 1
    again = dataset.read_as(version.manifest.lineage, split_photos)
    assert again.fingerprint == version.manifest.lineage.dataset.fingerprint


def test_photos_that_cannot_be_read_are_not_counted(tmp_path: Path) -> None:
    class Patient(Recorder):
        def skipped(self, photo: dataset.Photo, error: Exception) -> None:
            skipped.append(photo.name)

    skipped: list[str] = []
    for place, split in enumerate(("train", "validation", "test")):
        draw_set(tmp_path / "photos" / split, 4, first=100 * place)
        (tmp_path / "photos" / split / "cat" / f"{split}.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")

    version = run(tmp_path, Request(TINY, tmp_path / "photos", "test"), Patient()).version

    assert set(version.manifest.lineage.dataset.photos) == {"train", "validation", "test"}
    assert all(counts == {"cat": 4, "dog": 4} for counts in version.manifest.lineage.dataset.photos.values())
    assert skipped == ["train.jpg", "validation.jpg", "test.jpg"]
