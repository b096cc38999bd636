"""Describes the machine and the packages of a measurement."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from platform import python_version
from typing import Self

from catdog.features import libraries
from catdog.system import resources
from training.publishing.lineage import processor

LIBRARIES = (
    "openvino",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "fastapi",
    "uvicorn",
    "pillow",
    "cykooz-resizer",
    "numpy",
)


@dataclass(frozen=True)
class Machine:
    """The processor and the number of its cores that this process may use; `versions` are of this environment."""

    day: date
    processor: str
    cores: int
    has_amx: bool
    versions: dict[str, str]

    @classmethod
    def this(cls) -> Self:
        return cls(
            day=datetime.now(UTC).date(),
            processor=re.sub(r"\((R|TM)\)", "", processor()),
            cores=resources.usable_cores(),
            has_amx=_has_amx(),
            versions={"Python": python_version(), **libraries(LIBRARIES)},
        )

    @property
    def slug(self) -> str:
        """The part of results' file names for this machine."""
        name = re.sub("[^a-z0-9]+", "-", self.processor.lower()).strip("-")
        return f"{self.day}-{self.cores}x{name}"

    @property
    def where(self) -> str:
        amx = " with AMX" if self.has_amx else ""
        return f"{self.cores} cores of {self.processor}{amx}, {self.day}"

    @property
    def libraries(self) -> str:
        return ", ".join(map(" ".join, self.versions.items()))


def _has_amx() -> bool:
    try:
        return "amx_tile" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
