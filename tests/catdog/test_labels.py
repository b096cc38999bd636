import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.errors import DatasetError
from catdog.labels import checked_dataset_name, checked_label


@pytest.mark.parametrize(
    "label",
    ["cat", "7", "_", "St. Bernard", "black-and-tan", "猫", "кот", "बिल्ली", "x" * 64, "a-"],
)
def test_a_label_is_taken_as_it_is(label: str) -> None:
    assert checked_label(label) == label


def test_a_label_is_composed() -> None:
    assert checked_label(unicodedata.normalize("NFD", "Épagneul")) == unicodedata.normalize("NFC", "Épagneul")
    assert checked_label("e\u0301" * 64) == "é" * 64


@pytest.mark.parametrize(
    "label",
    [
        "",
        " ",
        " cat",
        "cat ",
        "cat.",
        "..",
        ".cat",
        "-cat",
        "a/b",
        "a\\b",
        "a:b",
        "cat\n",
        "a\0b",
        "a\tb",
        "🐱",
        "x" * 65,
        "\u0301cat",
        "\u202ecat",
    ],
)
def test_any_other_label_is_refused_with_what_is_allowed(label: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(f"{label!r} can't be the name of a class: 1 to 64 letters")):
        checked_label(label)


@given(st.text(max_size=70))
def test_a_checked_label_is_one_part_of_a_path_and_stays_as_it_is(text: str) -> None:
    try:
        label = checked_label(text)
    except DatasetError:
        return
    assert checked_label(label) == label
    assert not set(label) & set("/\\\0:\n")
    assert 1 <= len(label) <= 64


@pytest.mark.parametrize("name", ["pets", "0", "my-pets_2", "x" * 64])
def test_a_name_of_a_data_set_is_taken_as_it_is(name: str) -> None:
    assert checked_dataset_name(name) == name


@pytest.mark.parametrize("name", ["", "Pets", "-pets", "_pets", "my pets", "../pets", "pets\n", "é", "٣", "x" * 65])
def test_any_other_name_of_a_data_set_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(f"{name!r} can't be the name of a data set: 1 to 64 of a-z")):
        checked_dataset_name(name)
