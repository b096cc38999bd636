"""A network ready to run: architecture, arrays and an optional int8 graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from catdog.network.architecture import Architecture, Arrays
from catdog.system.checksum import sha256_of


@dataclass(frozen=True)
class Int8Graph:
    """The convolutions in int8, as OpenVINO writes a graph: `path` is the .xml, its constants lie beside it in .bin.

    With the classic head, that is part of the graph. `sha256` is of both files, one after the other.
    """

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """OSError where the files can't be read."""
        return cls(path, sha256_of(path, path.with_suffix(".bin")))


@dataclass(frozen=True)
class Network:
    """What an engine is made from. Where there is an int8 graph it is to be used, if the processor can."""

    architecture: Architecture
    arrays: Arrays
    int8: Int8Graph | None = None
