"""What a bucket holds: the object `state.json`, which is only ever replaced as a whole."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from catdog.errors import StoreError
from catdog.system import durable


class StoredFile(NamedTuple):
    """A file of a version."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        return cls(path.stat().st_size, durable.sha256_of(path))


@dataclass(frozen=True)
class State:
    """The versions, each with its files by name, and the texts of the files beside them, such as `champion`.

    Each change has a random `id`, so that its maker knows it again if the answer to its request was lost.
    """

    versions: Mapping[int, Mapping[str, StoredFile]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def with_text(self, name: str, text: str) -> Self:
        return replace(self, texts={**self.texts, name: text}, id=secrets.token_hex(8))

    def with_version(self, number: int, files: Mapping[str, StoredFile]) -> Self:
        return replace(self, versions={**self.versions, number: files}, id=secrets.token_hex(8))

    def without(self, number: int) -> Self:
        versions = {each: files for each, files in self.versions.items() if each != number}
        return replace(self, versions=versions, id=secrets.token_hex(8))

    def to_json(self) -> bytes:
        return json.dumps({"versions": self.versions, "texts": self.texts, "id": self.id}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes, name: str) -> Self:
        """The state in an object or file of this name; StoreError if it is none."""
        try:
            found: dict[str, Any] = json.loads(content)
            versions = {
                int(number): {file: StoredFile(*described) for file, described in files.items()}
                for number, files in found["versions"].items()
            }
            return cls(versions, found["texts"], found["id"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{name} isn't the state of a model store; restore it") from error
