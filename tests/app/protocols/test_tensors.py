"""Base64 in the variants that clients write, and the example in an error."""

import base64
import os

import pytest

from app.errors import InvalidInference
from app.protocols import tensors

CONTENT = b"\xfb\xff\xfe" * 7 + b"\xfb"  # in base64 it has +, / and padding
STANDARD = base64.b64encode(CONTENT).decode()
WEB_SAFE = base64.urlsafe_b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "text",
    [
        STANDARD,
        STANDARD.rstrip("="),
        WEB_SAFE,
        WEB_SAFE.rstrip("="),
        "\r\n".join([STANDARD[:10], STANDARD[10:], ""]),
        f"data:image/jpeg;base64,{STANDARD}",
        f"data:image/jpeg;base64,{WEB_SAFE.rstrip('=')}",
        f"data:;base64,{STANDARD}",
        f"data:image/png;name=a.png;base64,{STANDARD}",
    ],
)
def test_every_usual_form_of_base64_is_read(text: str) -> None:
    assert tensors.from_base64(text) == CONTENT


@pytest.mark.parametrize("length", range(6))
def test_any_number_of_bytes_is_read_without_padding(length: int) -> None:
    content = os.urandom(length)

    assert tensors.from_base64(base64.urlsafe_b64encode(content).decode().rstrip("=")) == content


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-_+/", "is not base64"),
        ("abcde", "is not base64"),
        ("ab=c", "is not base64"),
        ("a=", "is not base64"),
        ("äöü=", "is not base64"),
        ("data:image/jpeg,rawbytes", "a data URL without base64"),
        ("data:image/svg+xml;utf8,<svg/>", "a data URL without base64"),
        ("data:image/jpeg;base64,%", "is not base64"),
        ("data:image/jpeg;base64", "is not base64"),
        ("https://example.com/cat.jpg", "is not base64"),
        (7, "base64 in a string, not 7"),
        (None, "base64 in a string, not None"),
    ],
)
def test_what_is_no_base64_is_refused_with_a_glimpse_of_it(text: object, says: str) -> None:
    with pytest.raises(InvalidInference, match=says):
        tensors.from_base64(text)
