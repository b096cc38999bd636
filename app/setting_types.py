"""Types of settings that need validation."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from app import origins

KEY_CHARACTERS = 16


def _address(value: str) -> str:
    is_name = not re.search(r"[\s:/\[\]@?#*]", value)
    if not is_name and not origins.is_address(value):
        raise ValueError("write an address or a name alone, without scheme, port, brackets or path")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value) < KEY_CHARACTERS:
        raise ValueError(f"a key needs at least {KEY_CHARACTERS} characters, and this one has {len(value)}")
    return value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


_between_commas = BeforeValidator(_split)

ListeningAddress = Annotated[str, AfterValidator(_address)]
Key = Annotated[SecretStr, AfterValidator(_long_enough)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(origins.host)], ...], NoDecode, _between_commas]
Origins = Annotated[tuple[Annotated[str, AfterValidator(origins.origin)], ...], NoDecode, _between_commas]
# A time without end would bound nothing, and hold up the exit.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
