"""The pictures of a data set, listed in parts."""

from hashlib import sha256

import pytest

from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import DatasetNotFound
from catdog.datasets.listing import Listing
from catdog.datasets.picture_files import Filter
from catdog.splits import SPLITS
from tests.catdog.datasets.test_datasets import add


def test_pages_follow_one_another_from_the_newest_to_the_oldest(datasets: Datasets, listing: Listing) -> None:
    add(datasets, *(b"%d" % number for number in range(25)))
    add(datasets, b"other", to="others")

    names, after, pages = [], None, 0
    while pages == 0 or after is not None:
        found, after = listing.page("pets", Filter(), after, 10)
        names += [one.name for one in found]
        pages += 1

    assert pages == 3
    assert names == [f"{number}.jpg" for number in reversed(range(25))]


def test_a_picture_that_is_removed_between_two_pages_skips_none(datasets: Datasets, listing: Listing) -> None:
    add(datasets, *(b"%d" % number for number in range(6)))
    first, after = listing.page("pets", Filter(), None, 2)

    datasets.remove("pets", first[-1].sha256)

    assert [one.name for one in listing.page("pets", Filter(), after, 2)[0]] == ["3.jpg", "2.jpg"]


@pytest.mark.parametrize("has_two", [False, True])
def test_the_split_is_that_of_the_whole_data_set(datasets: Datasets, listing: Listing, has_two: bool) -> None:
    add(datasets, *(b"%d" % number for number in range(60)))
    add(datasets, b"held", split="test", label="dog")
    if has_two:
        add(datasets, b"3", split="validation")
        add(datasets, b"3", split="test", label="dog")

    found = {split: listing.of_ids("pets", listing.ids("pets", Filter(split=split))) for split in SPLITS}

    expected = {split: sorted(one.name for one in datasets.pictures("pets") if one.split == split) for split in SPLITS}
    assert {split: sorted(one.name for one in some) for split, some in found.items()} == expected
    assert all(one.split == split for split, some in found.items() for one in some)


def test_contents_come_in_their_own_order(datasets: Datasets, listing: Listing) -> None:
    add(datasets, b"1", b"2", b"3")
    asked = [sha256(content).hexdigest() for content in (b"2", b"gone", b"3", b"1")]

    found, after = listing.page("pets", Filter(contents=asked), None, 2)
    rest, end = listing.page("pets", Filter(contents=asked), after, 2)

    assert [one.name for one in (*found, *rest)] == ["1.jpg", "2.jpg", "0.jpg"]
    assert end is None


def test_a_created_data_set_is_empty_and_an_unknown_one_is_an_error(datasets: Datasets, listing: Listing) -> None:
    datasets.create("pets")

    assert listing.ids("pets", Filter()) == []
    assert datasets.counts() == {"pets": {}}
    with pytest.raises(DatasetNotFound):
        listing.ids("birds", Filter())
