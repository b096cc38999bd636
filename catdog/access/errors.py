"""Errors of keys; see `catdog.errors`.

AccessError
├── InvalidKeyName         a name that a key can't have
├── KeyExists              a name that a valid key has
└── KeyNotFound            no valid key of this name
"""

from catdog.errors import CatdogError
from catdog.faults import shown


class AccessError(CatdogError):
    """Keys can't be changed as requested."""


class InvalidKeyName(AccessError):
    """A name that a key can't have; names have at most `limit_characters`."""

    def __init__(self, name: str, limit_characters: int) -> None:
        self.name = name
        super().__init__(
            f"{shown(name)!r} can't be the name of a key: 1 to {limit_characters} of a-z, A-Z, 0-9, . _ @ and - are"
            " allowed, beginning with a letter or digit"
        )


class KeyExists(AccessError):
    """A name that a valid key has."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is a valid key {shown(name)} already; choose another name, or rotate or revoke it")


class KeyNotFound(AccessError):
    """No valid key of this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no valid key {shown(name)}; `catdog keys list` and GET /keys list all keys")
