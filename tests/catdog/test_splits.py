from hashlib import sha256

import pytest

from catdog.splits import SPLITS, Dealt, by_content, deal


def photo(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def held_out(number: int, start: str = "") -> list[str]:
    """Photos that content puts into validation or test."""
    names = (photo(f"{start}{count}") for count in range(10_000))
    return [name for name in names if by_content(name) != "train"][:number]


def trained(number: int) -> list[str]:
    return [name for name in map(photo, map(str, range(10_000))) if by_content(name) == "train"][:number]


def test_content_alone_decides_where_every_class_has_a_training_photo() -> None:
    photos = [photo(str(number)) for number in range(400)]

    found = deal(Dealt(one, number % 4) for number, one in enumerate(photos))

    assert found == {one: by_content(one) for one in photos}
    assert {split: list(found.values()).count(split) for split in SPLITS}["train"] > 280


@pytest.mark.parametrize("photos", [1, 2, 3, 8])
def test_a_class_without_a_training_photo_moves_one(photos: int) -> None:
    few = held_out(photos)

    found = deal([*(Dealt(one, "cat") for one in few), *(Dealt(one, "dog") for one in trained(5))])

    assert [found[one] for one in few].count("train") == 1
    assert sum(found[one] != by_content(one) for one in found) == 1


def test_the_order_of_the_photos_makes_no_difference() -> None:
    """Also if classes share a photo."""
    one, two, three = held_out(3)
    photos = [Dealt(one, "cat"), Dealt(one, "dog"), Dealt(two, "dog"), Dealt(three, "fish"), Dealt(two, "fish")]

    assert deal(photos) == deal(photos[::-1])


def test_only_a_photo_that_was_moved_moves_as_the_class_grows() -> None:
    few = held_out(4)
    for size in range(1, 4):
        before, after = (deal(Dealt(one, "cat") for one in few[:number]) for number in (size, size + 1))
        moved = {one for one in before if before[one] != after[one]}
        assert all(by_content(one) in (before[one], after[one]) for one in moved)
        assert len(moved) <= 1


def test_a_photo_that_was_stored_as_a_training_one_stays_as_the_class_grows() -> None:
    first = held_out(1)[0]
    others = [*held_out(30, "other"), *trained(30)]

    found = deal([Dealt(first, "cat", "train"), *(Dealt(one, "cat") for one in others)])

    assert found == {one: by_content(one) for one in others} | {first: "train"}


def test_a_chosen_split_decides_for_the_same_content_under_another_label() -> None:
    (one,) = trained(1)

    assert deal([Dealt(one, "cat"), Dealt(one, "dog", "test")]) == {one: "test"}


def test_a_photo_that_a_person_put_into_test_is_never_moved() -> None:
    one = held_out(1)[0]

    assert deal([Dealt(one, "cat", "test")]) == {one: "test"}
