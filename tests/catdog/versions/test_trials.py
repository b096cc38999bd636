"""Trials in the store: they begin, collect numbers and end, whatever else happens."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catdog.errors import ChampionChanged, StoreError
from catdog.versions.store import Store
from catdog.versions.trial import LABELLED, TIMED, Labelled, Pair, Said, Seen
from catdog.versions.trials import FILE
from tests.app.service import publish

SAME = Seen(agree=True, candidate_unknown=False, champion_unknown=False, seconds=Pair(0.01, 0.02))
SAID = Said(right=True, probability=0.9, of_truth=0.9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with three versions; the first is in service."""
    for seed in (1, 2, 3):
        publish(tmp_path, seed=seed)
    return Store(tmp_path)


def test_a_trial_begins_once_and_ends_the_one_before(store: Store) -> None:
    store.try_out(2, 1)
    began = store.trials.running()
    store.try_out(2, 1)
    assert store.trials.running() == began

    store.try_out(3, 1)

    found = store.trials.read()
    assert (found[3].is_running, found[2].is_running) == (True, False)
    assert found[2].decision is not None
    assert found[2].decision.reason == "not promoted: the trial of version 3 began"


def test_a_trial_beside_another_champion_does_not_begin(store: Store) -> None:
    store.promote(2)

    with pytest.raises(ChampionChanged):
        store.try_out(3, 1)

    assert store.trials.read() == {}


def test_a_candidate_on_trial_is_not_pruned_and_its_trial_goes_with_it(store: Store) -> None:
    store.try_out(2, 1)
    assert store.prune(1) == ()

    store.delete(2)

    assert (store.versions(), store.trials.read()) == ((1, 3), {})


def test_what_several_processes_saw_adds_up(store: Store) -> None:
    store.try_out(2, 1)

    with ThreadPoolExecutor(8) as processes:
        for _ in range(24):
            processes.submit(Store(store.root).trials.change, 2, lambda trial: trial.after([SAME], {}))

    trial = store.trials.running()
    assert trial is not None
    assert (trial.photos, trial.agreed, trial.agreement) == (24, 24, 1.0)


def test_numbers_of_a_trial_stay_bounded_and_are_dropped_at_its_end(store: Store) -> None:
    store.try_out(2, 1)
    one = Labelled(candidate=SAID, champion=SAID)
    labels = {str(number): one for number in range(LABELLED + 5)}

    trial = store.trials.change(2, lambda known: known.after([SAME] * (TIMED + 5), labels).after([SAME], {"5": one}))

    assert trial is not None
    assert (trial.photos, len(trial.candidate_seconds), len(trial.champion_seconds)) == (TIMED + 6, TIMED, TIMED)
    assert len(trial.labelled) == LABELLED
    assert "0" not in trial.labelled, "the oldest labels are dropped"
    over = store.trials.change(2, lambda known: known.ended(1.0, "it is over"))
    assert over is not None
    assert (over.photos, over.labelled, over.candidate_seconds) == (TIMED + 6, {}, ())
    assert store.trials.change(2, lambda known: known.after([SAME], {})) is None, "it has ended"


def test_a_file_that_cannot_be_read_says_what_to_do(store: Store) -> None:
    (store.root / FILE).write_text('{"2": {"version": 2')

    with pytest.raises(StoreError, match=r"trials\.json can't be read; restore it, or remove it to forget all trials"):
        store.trials.running()
