"""A version is compressed: a smaller network learns to answer like it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catdog.errors import RecipeError
from catdog.network.architecture import Architecture
from catdog.versions.store import Store, Version
from tests.observers import Recorder
from tests.photos import draw_set
from training.data import dataset
from training.data.features import FeatureExtractor
from training.fitting.augmentation import Augmentation
from training.fitting.config import Config, Stage
from training.fitting.observer import Phase
from training.publishing.pipeline import Outcome, Request, train

pytestmark = pytest.mark.whole

TEACHER = Config(backbone="random", width=1 / 16)
STUDENT = Config(
    strategy="compress",
    backbone="champion",
    width=1 / 32,
    stages=(Stage(64, 6, 8),),
    learning_rate=1e-2,
    warmup_steps=2,
    dropout=0.0,
    mixup=0.2,
    views=2,
    patience=None,
    policy="float32",
    augmentation=Augmentation(area=(0.8, 1.0), erase_chance=0.0, coarse_chance=0.0, grey_chance=0.0),
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> tuple[Path, Outcome, Recorder]:
    """A folder with a store, in it a teacher and its student, and what happened while the student was trained."""
    folder, observer = tmp_path_factory.mktemp("taught"), Recorder()
    run(folder, TEACHER, split_photos)
    return folder, run(folder, STUDENT, split_photos, observer), observer


def run(folder: Path, config: Config, photos: Path, observer: Recorder | None = None, resume: bool = False) -> Outcome:
    request = Request(config, photos, "test", quantize=False, resume=resume)
    return train(request, Store(folder / "models"), folder / "data", observer or Recorder())


def logits(version: Version, photos: Path, folder: Path) -> np.ndarray:
    asked = dataset.read(photos).splits["test"]
    return (
        FeatureExtractor(folder / "data" / "features", lambda *_: None).outputs(asked, version.network()).output.logits
    )


def test_a_student_is_narrower_and_names_its_teacher(taught: tuple[Path, Outcome, Recorder]) -> None:
    manifest = taught[1].version.manifest

    assert (manifest.width, manifest.channels) == (1 / 32, None)
    assert (manifest.lineage.strategy, manifest.lineage.parent) == ("compress", 1)
    assert manifest.architecture.multiply_adds < Architecture(2, TEACHER.width).multiply_adds / 3


def test_a_student_answers_like_its_teacher(taught: tuple[Path, Outcome, Recorder], split_photos: Path) -> None:
    folder, outcome, _ = taught
    store = Store(folder / "models")

    teacher, student = (logits(store.open(number), split_photos, folder) for number in (1, outcome.version.number))

    assert (teacher.argmax(axis=1) == student.argmax(axis=1)).mean() >= 0.95
    assert np.corrcoef(np.ptp(teacher, axis=1), np.ptp(student, axis=1))[0, 1] > 0


def test_its_loss_falls_and_its_epochs_are_reported(taught: tuple[Path, Outcome, Recorder]) -> None:
    rows = [row for row, _ in taught[2].epochs]

    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(np.isfinite(row["val_log_loss"]) for row in rows)


def test_the_rule_decides_about_a_student_like_about_any_candidate(taught: tuple[Path, Outcome, Recorder]) -> None:
    decision = taught[1].decision

    assert decision.champion == 1
    assert taught[1].version.manifest.decision == decision


def test_a_share_of_the_work_leaves_layers_of_different_widths(
    taught: tuple[Path, Outcome, Recorder], split_photos: Path
) -> None:
    folder = taught[0]
    config = replace(STUDENT, backbone="1", multiply_adds=0.3, stages=(Stage(32, 1, 8),))

    version = run(folder, config, split_photos).version

    assert version.manifest.channels is not None
    again = Store(folder / "models").open(version.number)
    assert again.manifest.architecture.multiply_adds <= 0.3 * Architecture(2, TEACHER.width).multiply_adds
    assert len(logits(again, split_photos, folder)) == 60
    head = run(folder, Config(backbone=str(version.number)), split_photos).version
    assert head.manifest.channels == version.manifest.channels, "a new head on it keeps them"


def test_other_classes_than_the_teacher_s_are_refused(taught: tuple[Path, Outcome, Recorder], tmp_path: Path) -> None:
    draw_set(tmp_path / "photos", 4, ("cat", "dog", "fish"))

    with pytest.raises(RecipeError, match="has the classes cat, dog; the photos have cat, dog, fish"):
        run(taught[0], STUDENT, tmp_path / "photos")


def test_a_backbone_without_a_head_teaches_nothing(taught: tuple[Path, Outcome, Recorder], split_photos: Path) -> None:
    with pytest.raises(RecipeError, match="--teacher random is no version"):
        run(taught[0], replace(STUDENT, backbone="random"), split_photos)


class Interrupts(Recorder):
    """Ctrl-C at the end of an epoch."""

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        super().epoch(row, epochs)
        if row["epoch"] == 2:
            raise KeyboardInterrupt


def test_an_interrupted_compression_continues_with_the_same_answers_of_the_teacher(
    taught: tuple[Path, Outcome, Recorder], split_photos: Path
) -> None:
    folder = taught[0]
    config = replace(STUDENT, backbone="1", seed=5, stages=(Stage(32, 3, 8),))
    with pytest.raises(KeyboardInterrupt):
        run(folder, config, split_photos, Interrupts())
    (state,) = (folder / "data" / "runs").glob("*/teacher-1.npy")
    answered = state.stat().st_mtime_ns

    class Watches(Recorder):
        def phase(self, name: Phase) -> None:
            super().phase(name)
            if name == "measuring":
                assert state.stat().st_mtime_ns == answered

    later = Watches()
    run(folder, config, split_photos, later, resume=True)

    assert [row["epoch"] for row, _ in later.epochs] == [3]
    assert later.phases[-1] == "publishing"
