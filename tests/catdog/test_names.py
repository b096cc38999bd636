import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.errors import DatasetError
from catdog.faults import shown
from catdog.names import checked_dataset_name, checked_label, folded


@pytest.mark.parametrize(
    "label",
    [
        "cat",
        "7",
        "_",
        "St. Bernard",
        "black-and-tan",
        "-1",
        "猫",
        "кот",
        "बिल्ली",
        "แมว",
        "گربه\u200cها",
        "ශ්\u200dරී",
        "Corn_(maize)___healthy",
        "Pepper,_bell___healthy",
        "Cat's & dog's",
        "C+",
        "x" * 100,
    ],
)
def test_a_label_is_taken_as_it_is(label: str) -> None:
    assert checked_label(label) == label


def test_a_label_is_trimmed_and_composed() -> None:
    assert checked_label(" cat\n") == "cat"
    assert checked_label(unicodedata.normalize("NFD", "Épagneul")) == unicodedata.normalize("NFC", "Épagneul")
    assert checked_label("e\u0301" * 100) == "é" * 100


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("", "it is empty"),
        (" ", "it is empty"),
        ("cat.", "a dot first or last"),
        ("..", "a dot first or last"),
        (".cat", "a dot first or last"),
        ("a/b", "'/' (U+002F)"),
        ("a\\b", "U+005C"),
        ("a:b", "':' (U+003A)"),
        ("a\0b", "U+0000"),
        ("a\tb", "U+0009"),
        ("a=b", "'=' (U+003D)"),
        ("🐱", "'🐱' (U+1F431)"),
        ("1\ufe0f\u20e3", "U+20E3"),
        ("c\u200dat", "U+200D"),
        ("cat\u034f", "U+034F"),
        ("x" * 101, "101 characters"),
        ("\u0301cat", "U+0301"),
        ("\u202ecat", "U+202E"),
        ("K\udce4tzchen", "U+DCE4"),
    ],
)
def test_any_other_label_is_refused_with_the_rule_and_what_breaks_it(label: str, fault: str) -> None:
    with pytest.raises(
        DatasetError, match=re.escape(f"{shown(label)!r} can't be the name of a class: 1 to 100 letters")
    ) as e:
        checked_label(label)
    assert fault in str(e.value)


@pytest.mark.parametrize("label", ["unknown", "Unknown", " NEITHER", "neither", "ｕｎｋｎｏｗｎ"])
def test_what_answers_call_a_photo_of_no_class_is_no_name_of_a_class(label: str) -> None:
    with pytest.raises(DatasetError, match="reserved for photos that are like none of the classes"):
        checked_label(label)


@given(st.text(max_size=120))
def test_a_checked_label_is_one_part_of_a_path_and_stays_as_it_is(text: str) -> None:
    try:
        label = checked_label(text)
    except DatasetError:
        return
    assert checked_label(label) == label
    assert not set(label) & set("/\\\0:\n=")
    assert label == label.strip()
    assert 1 <= len(label) <= 100


@given(st.text(max_size=20))
def test_spellings_that_differ_in_case_or_form_alone_are_folded_to_one(text: str) -> None:
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)
    assert folded("ÉTÉ") == folded("e\u0301te\u0301")


@pytest.mark.parametrize("name", ["pets", "0", "my-pets_2", "x" * 64])
def test_a_name_of_a_data_set_is_taken_as_it_is(name: str) -> None:
    assert checked_dataset_name(name) == name


@pytest.mark.parametrize("name", ["", "Pets", "-pets", "_pets", "my pets", "../pets", "pets\n", "é", "٣", "x" * 65])
def test_any_other_name_of_a_data_set_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(f"{name!r} can't be the name of a data set: 1 to 64 of a-z")):
        checked_dataset_name(name)
