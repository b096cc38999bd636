import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from catdog.network.architecture import Architecture
from tests.observers import Recorder
from training.data.pixels import Labelled
from training.fitting import trainable_network
from training.fitting.augmentation import Augmentation
from training.fitting.config import Config, Stage
from training.fitting.loop import MONITOR, Row, TrainingLoop
from training.fitting.observer import Observer

TWO_STAGES = Config(
    strategy="full",
    stages=(Stage(32, 2, 16), Stage(48, 2, 16)),
    learning_rate=2e-2,
    warmup_steps=2,
    dropout=0.0,
    patience=None,
    policy="float32",
)


def red_and_green(photos: int, seed: int) -> Labelled:
    """Noisy pictures whose class is their colour."""
    labels = np.arange(photos) % 2
    pixels = np.random.default_rng(seed).integers(0, 120, (photos, 48, 48, 3), np.uint8)
    pixels[labels == 0, ..., 0] += 120
    pixels[labels == 1, ..., 1] += 120
    return Labelled(pixels, labels, 2)


def model() -> keras.Model:
    return trainable_network.build(Architecture(2, width=1 / 32), dropout=0.0, policy="float32", seed=1)


def fit(
    folder: Path,
    config: Config = TWO_STAGES,
    trained: keras.Model | None = None,
    observer: Observer | None = None,
) -> TrainingLoop:
    train, validation = red_and_green(64, 0), red_and_green(16, 1)
    return TrainingLoop(trained or model(), train, validation, config, folder, observer or Recorder())


class Curious(Recorder):
    """Counts the epochs that are kept when it is told of one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.kept: list[int] = []

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        self.kept.append(len(json.loads((self._folder / "state.json").read_text())["history"]))
        super().epoch(row, epochs)


@dataclass
class Finished:
    """A training of TWO_STAGES that has ended, in its folder."""

    folder: Path
    model: keras.Model
    history: list[Row]
    told: Curious


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder, trained = tmp_path_factory.mktemp("finished"), model()
    told = Curious(folder)
    return Finished(folder, trained, fit(folder, trained=trained, observer=told).run(), told)


class Interrupted(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Ctrl-C at the first step of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._now = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self._now == self._epoch:
            raise KeyboardInterrupt


def test_a_training_learns_and_gives_a_row_an_epoch(tmp_path: Path) -> None:
    longer = replace(TWO_STAGES, stages=(Stage(32, 4, 8), Stage(48, 4, 8)))

    history = fit(tmp_path, longer).run()

    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["val_accuracy"] > 0.9


@pytest.mark.whole
@pytest.mark.parametrize("averaged_steps", [None, 4])
def test_the_model_ends_with_the_weights_of_the_last_stages_best_epoch(
    tmp_path: Path, averaged_steps: int | None
) -> None:
    """A learning rate that becomes much too high at the end makes the last epoch worse than an earlier one."""
    trained = model()
    wild = replace(TWO_STAGES, stages=(Stage(32, 6, 16),), learning_rate=3.0, warmup_steps=1000)
    wild = replace(wild, averaged_steps=averaged_steps)

    history = fit(tmp_path, wild, trained).run()

    validation = red_and_green(16, 1)
    found = trained.evaluate(validation.photos, np.eye(2)[validation.labels], verbose=0, return_dict=True)
    assert found["calibrated_log_loss"] <= min(row[MONITOR] for row in history) + 1e-4


def test_an_average_of_the_weights_is_kept_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, averaged = model(), replace(TWO_STAGES, stages=(Stage(32, 1, 16),), averaged_steps=4)
    expected = [variable.numpy() for variable in trained.trainable_variables]
    last = expected

    class Averaging(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        """Averages the weights after each step in its own way."""

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            nonlocal expected, last
            last = [variable.numpy() for variable in self.model.trainable_variables]
            expected = [0.75 * mean + 0.25 * now for mean, now in zip(expected, last, strict=True)]

    monkeypatch.setattr("training.fitting.loop.Progress", lambda *_: Averaging())
    fit(tmp_path, averaged, trained).run()

    kept = [variable.numpy() for variable in trained.trainable_variables]
    assert all(np.allclose(ours, mean, atol=1e-5) for ours, mean in zip(kept, expected, strict=True))
    assert not all(np.allclose(ours, now, atol=1e-5) for ours, now in zip(kept, last, strict=True))


def test_the_last_stage_is_judged_on_photos_as_large_as_they_are_served(tmp_path: Path) -> None:
    """It trains on pictures of 32 pixels; the photos have 48."""
    trained = model()
    history = fit(tmp_path, replace(TWO_STAGES, stages=(Stage(32, 1, 16),)), trained).run()

    trained.load_weights(tmp_path / "epoch-1.weights.h5")
    validation = red_and_green(16, 1)
    losses = {
        pixels: trained.evaluate(validation.at(pixels), np.eye(2)[validation.labels], verbose=0, return_dict=True)[
            "log_loss"
        ]
        for pixels in (32, 48)
    }
    assert history[-1]["val_log_loss"] == pytest.approx(losses[48], rel=1e-3)
    assert losses[32] != pytest.approx(losses[48], rel=1e-3)


def test_the_number_of_photos_decides_how_many_epochs_there_are(tmp_path: Path) -> None:
    recorder = Recorder()
    by_steps = replace(TWO_STAGES, stages=(Stage(32, 1, 16),), steps=20)

    history = fit(tmp_path, by_steps, observer=recorder).run()

    assert len(history) == 5, "of 64 photos, 16 a step"
    assert {epochs for _, epochs in recorder.epochs} == {5}
    assert recorder.shares[-1] == 1


def test_patience_ends_a_training_that_gets_no_better(tmp_path: Path) -> None:
    stuck = replace(TWO_STAGES, stages=(Stage(32, 20, 16),), learning_rate=0.0, patience=2)

    losses = [row[MONITOR] for row in fit(tmp_path, stuck).run()]

    assert 2 <= len(losses) < 20
    assert int(np.argmin(losses)) == len(losses) - 3, "the last two epochs were no better than the one before"


def test_a_training_that_patience_ended_is_not_trained_on_when_resumed(tmp_path: Path) -> None:
    stuck = replace(TWO_STAGES, stages=(Stage(32, 20, 16),), learning_rate=0.0, patience=2)
    history = fit(tmp_path, stuck).run()

    assert fit(tmp_path, stuck).run(resume=True) == history


@pytest.mark.whole
@pytest.mark.parametrize("stages", [(Stage(32, 3, 16),), (Stage(32, 1, 16), Stage(48, 2, 16))], ids=["one", "two"])
def test_the_start_stays_the_best_where_every_epoch_made_it_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: tuple[Stage, ...]
) -> None:
    """Also if the training was interrupted in between."""
    started, wild = model(), replace(TWO_STAGES, stages=stages, learning_rate=20.0, warmup_steps=0)
    before = started.get_weights()[0].copy()
    with monkeypatch.context() as patched:
        patched.setattr("training.fitting.loop.Progress", lambda *_: Interrupted(epoch=1))
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, wild, started).run()

    resumed = model()
    fit(tmp_path, wild, resumed).run(resume=True)

    assert np.array_equal(resumed.get_weights()[0], before)


@pytest.mark.whole
@pytest.mark.parametrize("averaged_steps", [None, 4])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, averaged_steps: int | None
) -> None:
    config = replace(TWO_STAGES, averaged_steps=averaged_steps)
    whole = fit(tmp_path / "whole", config).run()
    with monkeypatch.context() as patched:
        # Ctrl-C arrives in the middle of the third epoch, which is the first of the second stage.
        patched.setattr("training.fitting.loop.Progress", lambda *_: Interrupted(epoch=2))
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "cut", config).run()

    resumed = fit(tmp_path / "cut", config).run(resume=True)

    assert [row["epoch"] for row in resumed] == [1, 2, 3, 4]
    for before, after in zip(whole, resumed, strict=True):
        assert after["val_log_loss"] == pytest.approx(before["val_log_loss"], abs=1e-3)


def test_a_finished_training_is_resumed_at_its_end(finished: Finished) -> None:
    resumed = model()

    assert fit(finished.folder, trained=resumed).run(resume=True) == finished.history
    pixels = red_and_green(4, 2).at(48)
    assert np.allclose(resumed.predict_on_batch(pixels), finished.model.predict_on_batch(pixels))


def test_what_it_takes_to_resume_is_whole_at_the_end(finished: Finished) -> None:
    state = json.loads((finished.folder / "state.json").read_text())
    assert (finished.folder / state["weights"]).is_file()
    assert len(list(finished.folder.glob("epoch-*.weights.h5"))) == 1


def test_an_observer_is_told_of_every_epoch_and_of_how_far_they_are(finished: Finished) -> None:
    told, history = finished.told, finished.history

    assert told.phases == ["fitting"]
    rows = [row for row, epochs in told.epochs if epochs == 4]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [row["pixels"] for row in rows] == [32, 32, 48, 48]
    assert [row[MONITOR] for row in rows] == [row[MONITOR] for row in history]
    assert all(row["photos_per_second"] > 0 for row in rows)
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == 1
    assert told.seconds_left[-1] == 0
    assert 2 * 32**2 / (2 * 32**2 + 2 * 48**2) in told.shares, "after the first stage, by pixels"


def test_an_epoch_is_told_of_once_it_is_kept(finished: Finished) -> None:
    assert finished.told.kept == [1, 2, 3, 4]


@pytest.mark.whole
def test_processes_beside_an_accelerator_make_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fit(tmp_path / "threads", trained=model()).run()
    monkeypatch.setattr("training.fitting.loop.has_accelerator", lambda: True)

    again = fit(tmp_path / "processes", trained=model()).run()

    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in made], rel=1e-3)


@pytest.mark.whole
def test_a_stage_may_have_an_augmentation_of_its_own(tmp_path: Path) -> None:
    """Nothing is learned from pictures hidden under grey, which shows which stage had them."""
    hidden = Augmentation(contrast=(0, 0), brightness=(0, 0), erase_chance=0)
    seen, unseen = Stage(32, 4, 8), Stage(32, 4, 8, hidden)

    losses = {
        stage.augmentation: fit(tmp_path / str(number), replace(TWO_STAGES, stages=(stage,))).run()[-1]["loss"]
        for number, stage in enumerate((seen, unseen))
    }

    assert losses[None] < 0.9 * losses[hidden]
