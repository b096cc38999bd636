"""Where and with what was measured; nothing that names the machine's owner."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from platform import python_version
from typing import Self

from catdog.engines.openvino import best_precision
from training.lineage import cores, libraries, processor

LIBRARIES = ("openvino", "tensorflow-cpu", "tensorflow", "keras", "fastapi", "uvicorn", "pillow", "numpy")


@dataclass(frozen=True)
class Machine:
    """The processor and the cores of it that this process may use; `precision` is what the service computes in."""

    day: date
    processor: str
    cores: int
    precision: str
    versions: dict[str, str]

    @classmethod
    def this(cls) -> Self:
        return cls(
            day=datetime.now(UTC).date(),
            processor=re.sub(r"\((R|TM)\)", "", processor()),
            cores=cores(),
            precision=best_precision(),
            versions={"Python": python_version(), **libraries(LIBRARIES)},
        )

    @property
    def slug(self) -> str:
        """What a file of results is named by."""
        name = re.sub("[^a-z0-9]+", "-", self.processor.lower()).strip("-")
        return f"{self.day}-{self.cores}x{name}"

    @property
    def where(self) -> str:
        return f"{self.cores} cores of {self.processor}, {self.day}"

    @property
    def libraries(self) -> str:
        return ", ".join(map(" ".join, self.versions.items()))
