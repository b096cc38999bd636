"""A training called from Python: what it trains, its events, and its published version."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.network import weights
from catdog.versions import golden
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw_set
from training.data import dataset, features, trained_on
from training.fitting import backbones, linear_head, strategies
from training.fitting.config import Config, Stage, Strategy
from training.publishing.pipeline import Outcome, Request, train

TINY = Config(backbone="random", width=1 / 32)


def run(folder: Path, request: Request, observer: Recorder | None = None) -> Outcome:
    return train(request, Store(folder / "models"), folder / "data", observer or Recorder())


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


@pytest.mark.parametrize("strategy", [pytest.param("full", marks=pytest.mark.whole), "finetune"])
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


@pytest.mark.whole
def test_the_last_blocks_are_trained_at_several_picture_sizes(split_photos: Path, tmp_path: Path) -> None:
    stages = (Stage(32, 1, 8), Stage(64, 10, 8))
    config = replace(TINY, strategy="finetune", unfreeze=2, stages=stages, learning_rate=3e-4, policy="float32")
    config = replace(config, patience=None)  # until it is better than the head
    recorder = Recorder()

    version = run(tmp_path, Request(config, split_photos, "test", quantize=False), recorder).version

    start, trained = weights.halved(backbones.random(TINY.width, TINY.seed)), version.network("f32").arrays
    assert [row["pixels"] for row, _ in recorder.epochs] == [32] + [64] * 10
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
