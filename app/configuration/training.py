"""Settings of what runs trainings and comparisons, and with what."""

from pathlib import Path
from typing import Literal

from pydantic import PositiveInt, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from catdog import cluster
from catdog.cluster import ClusterError


class TrainingSettings(BaseSettings):
    """A part of `app.settings.Settings`."""

    worker: Literal["process", "ray", "none"] = "process"
    """What runs jobs; by default a `process` that starts for a queued job. With `ray` that process has the features of
    new photos computed on a Ray cluster, which needs RAY_AUTH_MODE=token. `none` leaves jobs to workers elsewhere."""

    ray_address: str = cluster.AUTOMATIC
    """Address of that cluster, `host:port`; `auto` by default, the one that this machine is a node of."""

    train_threads: PositiveInt | None = None
    """Cores that a training may use; by default half of them."""

    imagenet_weights: Path | None = None
    """File of ImageNet's VGG16 weights, for trainings to start from; by default it is downloaded into the data folder
    once."""

    @field_validator("worker")
    @classmethod
    def _check_worker(cls, value: str) -> str:
        if value == "ray":
            try:
                cluster.check_usable()
            except ClusterError as error:
                raise PydanticCustomError("cluster", "{reason}", {"reason": str(error)}) from error
        return value
