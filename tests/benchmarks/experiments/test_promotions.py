"""No automatically promoted version is worse on held-out photos: on a tiny network."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import promotions
from benchmarks.experiments.promotions import Trial, held_out_of, tried
from catdog.versions.store import Store
from tests.observers import Recorder
from tests.photos import draw_set
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

pytestmark = pytest.mark.whole

TINY = Config(backbone="random", width=1 / 32)
SIZES = ((20, False), (130, True), (200, True))
Pool = dict[str, list[Path]]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    root = draw_set(tmp_path_factory.mktemp("pool"), 300)
    return {label: sorted((root / label).iterdir()) for label in ("cat", "dog")}


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> list[Trial]:
    """Small data sets, on the champion's backbone and on a new one."""
    folder = tmp_path_factory.mktemp("trials")
    store, data_dir = Store(folder / "models"), folder / "data"
    held_out, others = held_out_of(pool, 100)
    random = np.random.default_rng(0)
    champions = {label: paths[:60] for label, paths in others.items()}
    first = promotions.drawn(champions, 120, False, random, folder / "first")
    train(Request(TINY, first, "", quantize=False), store, data_dir, Recorder())
    found = []
    for number, (size, brings) in enumerate(SIZES):
        new = {label: paths[60:] for label, paths in others.items()}
        data = promotions.drawn(new, size, brings, random, folder / str(number))
        for config in (Config(backbone="champion", seed=number), Config(backbone="random", width=1 / 32, seed=number)):
            found.append(tried(config, data, size, held_out, store, data_dir, Recorder()))  # noqa: PERF401
    assert store.versions() == (store.champion(),)
    return found


def test_none_that_is_promoted_is_worse_beyond_chance(trials: list[Trial]) -> None:
    assert [trial.row(0) for trial in trials if trial.promoted and trial.is_worse] == []


def test_some_are_promoted_and_those_with_too_few_test_photos_are_not(trials: list[Trial]) -> None:
    assert any(trial.promoted for trial in trials)
    assert not any(trial.promoted for trial in trials if trial.decision.photos < 60)


def test_a_row_tells_how_it_came_out(trials: list[Trial]) -> None:
    assert trials[0].row(1).startswith("| 1 | 20 | 2 | head | ")
    assert "kept out: test photos" in trials[0].row(1)


@pytest.mark.parametrize(("worse", "less_likely"), [(4, False), (5, True)])
def test_worse_is_what_equals_would_hardly_be(worse: int, less_likely: bool) -> None:
    before, after = np.zeros(300, bool), np.arange(300) < worse

    assert (promotions.chance(before, after) < promotions.CHANCE) == less_likely
