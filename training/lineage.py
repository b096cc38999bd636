"""What a manifest says of how its version came about."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from catdog import manifest
from catdog.manifest import Lineage
from training.config import Config
from training.dataset import Dataset

LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "torch", "openvino", "scikit-learn", "numpy", "pillow")


def lineage(
    config: Config, used: Dataset, *, parent: int | None, command: str, recipe: str | None, notes: str, seconds: float
) -> Lineage:
    """The record of a training that took `seconds` and could read the photos in `used`."""
    return Lineage(
        command=command,
        recipe=recipe,
        strategy=config.strategy,
        backbone=config.backbone,
        parent=parent,
        dataset=manifest.Dataset(fingerprint=used.fingerprint, photos=used.counts()),
        seed=config.seed,
        seconds=round(seconds, 1),
        hardware=f"{len(os.sched_getaffinity(0))} cores of {processor()}",
        libraries=libraries(LIBRARIES),
        notes=notes,
    )


def processor() -> str:
    """The processor's name as the kernel has it; elsewhere than on Linux its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def libraries(names: Sequence[str]) -> dict[str, str]:
    """Versions of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
