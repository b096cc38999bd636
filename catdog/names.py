"""Validates the names of classes and data sets."""

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import bidirectional, category, combining, normalize

from catdog.errors import DatasetError
from catdog.faults import shown

LIMIT_CHARACTERS: Final = 100  # of a class
LIMIT_DATASET_CHARACTERS: Final = 64
LIMIT_KEY_CHARACTERS: Final = 64  # of the name of a key
NEITHER: Final = "neither"  # the label of pictures of none of the classes, on which `unknown` is measured
RESERVED: Final = ("unknown", NEITHER)  # used in answers and reports for photos that are like none of the classes
PUNCTUATION: Final = " -_.()',&+"

_DATASET = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{LIMIT_DATASET_CHARACTERS - 1}}}")
# Letters and marks by category, but invisible: fillers, the grapheme joiner, variation selectors.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_JOINERS = "\u200c\u200d"
_VIRAMA = 9  # combining class


def checked_label(text: str) -> str:
    """The name of a class, trimmed and normalised (Unicode NFC); DatasetError if it isn't valid."""
    label = normalize("NFC", text.strip())
    refuse_reserved(label)
    fault = _fault(label)
    if fault:
        raise DatasetError(
            f"{shown(text)!r} can't be the name of a class: 1 to {LIMIT_CHARACTERS} letters of any script, digits,"
            f" spaces and {PUNCTUATION.strip()} are allowed, with no dot first or last; {fault}"
        )
    return label


def refuse_reserved(label: str) -> None:
    """DatasetError if the name is reserved for photos that are like none of the classes."""
    if normalize("NFKC", label.strip()).casefold() in RESERVED:
        raise DatasetError(
            f"{shown(label)!r} can't be the name of a class: it is reserved for photos that are like none of the"
            " classes; choose another name"
        )


def folded(label: str) -> str:
    """The name case-folded and normalised: equal for spellings that differ only in case or Unicode form."""
    return normalize("NFC", normalize("NFC", label).casefold())


def same_class(label: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is equal to the label, exactly or ignoring case; None if there is none."""
    alike = [name for name in names if folded(name) == folded(label)]
    return label if label in alike else next(iter(alike), None)


def checked_dataset_name(text: str) -> str:
    """The name of a data set; DatasetError if it isn't valid."""
    if not _DATASET.fullmatch(text):
        raise DatasetError(
            f"{shown(text)!r} can't be the name of a data set: 1 to {LIMIT_DATASET_CHARACTERS} of a-z, 0-9, _ and - are"
            " allowed, beginning with a letter or digit"
        )
    return text


def _fault(label: str) -> str:
    """How the name breaks the rule, empty if it doesn't."""
    if not label:
        return "it is empty"
    if len(label) > LIMIT_CHARACTERS:
        return f"it has {len(label):,} characters"
    if "." in (label[0], label[-1]):
        return "it has a dot first or last"
    wrong = dict.fromkeys(character for place, character in enumerate(label) if not _is_allowed(label, place))
    return f"it has {', '.join(f'{character!r} (U+{ord(character):04X})' for character in wrong)}" if wrong else ""


def _is_allowed(label: str, place: int) -> bool:
    character = label[place]
    if character in _JOINERS:
        return 0 < place < len(label) - 1 and _takes_joiner(label[place - 1])
    kind = category(character)
    written = kind[0] in "LN" or (kind in ("Mn", "Mc") and place > 0)
    return (written and not _INVISIBLE.match(character)) or character in PUNCTUATION


def _takes_joiner(before: str) -> bool:
    """Whether a joiner is allowed here: in Arabic script, and after a virama (RFC 5892, appendix A)."""
    return bidirectional(before) == "AL" or combining(before) == _VIRAMA
