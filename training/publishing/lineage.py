"""Makes the lineage in a manifest: the data, code and settings of a version."""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from catdog.features import libraries
from catdog.system import resources
from catdog.versions import manifest
from catdog.versions.manifest import Lineage
from training.data.dataset import Dataset
from training.fitting.strategies import Job

LIBRARIES = ("openvino", "scikit-learn", "numpy", "pillow", "cykooz-resizer")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",), "torch": ("torch",)}  # by package


def lineage(
    training: Job, used: Dataset, seconds: float, *, command: str, recipe: str | None, notes: str, job: str | None
) -> Lineage:
    """The record of a training that took `seconds`; `used` has the photos that it could read.

    `job` is the id of the service's job, if there was one.
    """
    config = training.config
    usable = resources.usable_cores()
    return Lineage(
        command=command,
        recipe=recipe,
        strategy=config.strategy,
        backbone=config.backbone,
        parent=training.backbone.parent,
        dataset=manifest.Dataset(fingerprint=training.dataset.fingerprint, photos=used.counts()),
        seed=config.seed,
        seconds=round(seconds, 1),
        hardware=f"{usable} core{'' if usable == 1 else 's'} of {processor()}{_accelerator()}",
        libraries=libraries((*LIBRARIES, *_backend())),
        notes=notes,
        config=json.loads(json.dumps(asdict(config))),
        job=job,
    )


def _backend() -> Sequence[str]:
    """The packages of Keras and its backend, empty if Keras wasn't used: a head alone is fitted without it."""
    keras = sys.modules.get("keras")
    return () if keras is None else ("keras", *BACKENDS[keras.backend.backend()])


def _accelerator() -> str:
    if "keras" not in sys.modules:
        return ""
    from catdog.engines.keras import has_accelerator

    return " with a GPU" if has_accelerator() else ""


def processor() -> str:
    """The processor's name from the Linux kernel; on other systems its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
