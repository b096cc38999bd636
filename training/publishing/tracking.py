"""Logs published versions to an MLflow tracking server, if MLFLOW_TRACKING_URI names one.

A run has the configuration and lineage as parameters, the metrics of each split and epoch, the decision as tags, and
the manifest and the report as artifacts. MLflow's own variables work, such as MLFLOW_EXPERIMENT_NAME and
MLFLOW_TRACKING_TOKEN.
"""

import csv
import logging
import os
from collections.abc import Iterator, Mapping
from time import time
from typing import TYPE_CHECKING, Any, Final

from catdog.versions.manifest import Manifest

if TYPE_CHECKING:
    from training.publishing.pipeline import Outcome

logger = logging.getLogger(__name__)

SERVER: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT: Final = "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT: Final = "catdog"
UNLESS_SET: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the standard output of `--json` is JSON alone
}
LIMIT_CHARACTERS: Final = 5000  # of a tag
MEASURES: Final = ("photos", "accuracy", "accuracy_low", "accuracy_high", "log_loss", "calibration_error")

Metric = tuple[str, float, int]  # name, value, epoch


def log(outcome: "Outcome") -> None:
    """Log a version, if a server is set; a failure is logged as a warning, because the version is published already."""
    if not os.environ.get(SERVER):
        return
    for name, value in UNLESS_SET.items():
        os.environ.setdefault(name, value)
    number = outcome.version.number
    try:
        _log(outcome)
    except ModuleNotFoundError as error:
        logger.warning("version %d isn't logged to %s: %s; install the extra catdog[mlflow]", number, SERVER, error)
    except Exception as error:  # any error of the server, of the network, or of a folder
        logger.warning("version %d isn't logged to %s: %s", number, SERVER, error)


def _log(outcome: "Outcome") -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric as Measured
    from mlflow.entities import Param, RunTag

    version = outcome.version
    manifest = version.manifest
    client = MlflowClient()
    tags = {"catdog.version": str(version.number), "catdog.promoted": str(outcome.promoted).lower()}
    run = client.create_run(_experiment(client), run_name=f"version {version.number}", tags=tags).info.run_id
    now = int(time() * 1000)
    client.log_batch(
        run,
        [Measured(name, value, now, step) for name, value, step in _metrics(manifest, version.path)],
        [Param(name, str(value)) for name, value in _parameters(manifest).items()],
        [RunTag(name, value[:LIMIT_CHARACTERS]) for name, value in _tags(manifest, outcome.reason).items()],
    )
    client.log_artifact(run, str(version.path / "manifest.json"))
    if (report := version.path / "report").is_dir():
        client.log_artifacts(run, str(report), "report")
    client.set_terminated(run)


def _experiment(client: Any) -> str:
    name = os.environ.get(EXPERIMENT) or DEFAULT_EXPERIMENT
    found = client.get_experiment_by_name(name)
    made: str = client.create_experiment(name) if found is None else found.experiment_id
    return made


def _metrics(manifest: Manifest, folder: Any) -> Iterator[Metric]:
    """Those of each split, and one per epoch of those in the report."""
    for split, metrics in manifest.metrics.items():
        for name in MEASURES:
            yield f"{split}.{name}", float(getattr(metrics, name)), 0
    history = folder / "report" / "history.csv"
    if history.exists():
        with history.open(newline="") as file:
            for row in csv.DictReader(file):
                epoch = int(float(row["epoch"]))
                yield from ((f"epoch.{name}", float(value), epoch) for name, value in row.items() if name != "epoch")


def _parameters(manifest: Manifest) -> dict[str, object]:
    origin = manifest.lineage
    counts = {f"photos.{split}": sum(classes.values()) for split, classes in origin.dataset.photos.items()}
    lineage = {name: getattr(origin, name) for name in ("strategy", "backbone", "parent", "recipe", "seed")}
    network = {"classes": ", ".join(manifest.classes), "width": manifest.width, "head": manifest.head}
    chosen = {name: value for name, value in origin.config.items() if name not in ("augmentation", *lineage, *network)}
    return {**chosen, **lineage, **network, **counts, "dataset": origin.dataset.fingerprint}


def _tags(manifest: Manifest, reason: str) -> Mapping[str, str]:
    origin = manifest.lineage
    told = {"job": origin.job, "command": origin.command, "hardware": origin.hardware, "decision": reason}
    return {**{f"catdog.{name}": value for name, value in told.items() if value}, "mlflow.note.content": origin.notes}
