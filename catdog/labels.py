"""What classes and data sets may be called."""

import re
from unicodedata import category, normalize

from catdog.errors import DatasetError

LIMIT_CHARACTERS = 64

_LABEL = re.compile(r"\w[\w .-]*(?<![ .])")
_DATASET = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{LIMIT_CHARACTERS - 1}}}")


def checked_label(text: str) -> str:
    """The name of a class, composed (Unicode NFC); DatasetError where it isn't one."""
    label = normalize("NFC", text)
    # A vowel sign of Hindi or Thai is a word character in Unicode (UTS #18, annex C), but not in Python.
    words = label[:1] + "".join("_" if category(character).startswith("M") else character for character in label[1:])
    if len(label) > LIMIT_CHARACTERS or not _LABEL.fullmatch(words):
        raise DatasetError(
            f"{text!r} can't be the name of a class: 1 to {LIMIT_CHARACTERS} letters, digits, _, spaces, dots and"
            " hyphens are taken, a letter, digit or _ first, no space or dot last"
        )
    return label


def checked_dataset_name(text: str) -> str:
    """The name of a data set; DatasetError where it isn't one."""
    if not _DATASET.fullmatch(text):
        raise DatasetError(
            f"{text!r} can't be the name of a data set: 1 to {LIMIT_CHARACTERS} of a-z, 0-9, _ and - are taken,"
            " a letter or digit first"
        )
    return text
