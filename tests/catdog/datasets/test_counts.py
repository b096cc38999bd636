"""Counts equal the numbers of pictures, although the database counts rows."""

import random

import pytest
from sqlalchemy import event, text

from catdog.database import Database
from catdog.datasets.counts import of_pictures
from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import DatasetNotFound
from catdog.splits import SPLITS
from tests.catdog.datasets.test_datasets import add
from tests.catdog.datasets.test_picture_splits import held_out


def contents(chance: random.Random, count: int) -> list[bytes]:
    return [b"%d" % chance.randrange(300) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_pictures(datasets: Datasets, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # nothing secret
    for _ in range(12):
        to, label = chance.choice(("pets", "others", "few")), chance.choice(("cat", "dog", "hare"))
        count = 1 if to == "few" else chance.randrange(1, 40)
        add(datasets, *contents(chance, count), to=to, label=label, split=chance.choice((None, None, *SPLITS)))

    expected = {name: of_pictures(datasets.pictures(name)) for name in datasets.names()}

    assert datasets.counts() == expected
    for name, counts in expected.items():
        assert datasets.counts(name) == {name: counts}


def test_a_class_whose_only_training_picture_is_chosen_to_test_with_as_well_is_counted(datasets: Datasets) -> None:
    (held,) = held_out(1)
    add(datasets, b"a cat", split="train")
    add(datasets, b"a cat", split="test")
    add(datasets, held)

    assert datasets.counts()["pets"] == of_pictures(datasets.pictures("pets"))


def test_no_picture_is_read_to_count_many(datasets: Datasets, database: Database) -> None:
    add(datasets, *(b"%d" % number for number in range(200)))
    read: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *told: read.append(told[2]))

    datasets.counts()

    assert [statement for statement in read if "sha256" in statement] == []


def test_a_data_set_that_is_not_there_has_no_counts(datasets: Datasets) -> None:
    assert datasets.counts() == {}
    with pytest.raises(DatasetNotFound):
        datasets.counts("pets")


def test_a_picture_that_an_earlier_catdog_wrote_beside_this_one_is_counted(
    datasets: Datasets, database: Database
) -> None:
    add(datasets, *(b"%d" % number for number in range(50)))
    with database.writing() as connection:
        connection.execute(text("UPDATE pictures SET drawn = NULL"))

    assert datasets.counts("pets") == {"pets": of_pictures(datasets.pictures("pets"))}
