"""Versions are logged to an MLflow tracking server, if one is set; without one, or if it fails, nothing is lost."""

import logging
import socket
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from catdog.versions.store import Store
from tests.photos import draw_splits
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Outcome, Request, train


@pytest.fixture(autouse=True)
def folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that runs are logged to."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    return tmp_path / "runs"


def published(folder: Path) -> Outcome:
    """A tiny version."""
    photos = draw_splits(folder / "photos", 12, 6, 6)
    config = Config(backbone="random", width=1 / 32)
    request = Request(config, photos, command="the test", notes="with notes", quantize=False)
    return train(request, Store(folder / "models"), folder / "data", Terminal())


def test_a_run_has_what_is_known_of_the_version(tmp_path: Path) -> None:
    outcome = published(tmp_path)

    client = MlflowClient()
    experiment = client.get_experiment_by_name("catdog")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    measured = outcome.version.manifest.metrics["test"]
    assert (run.info.run_name, run.info.status) == ("version 1", "FINISHED")
    assert run.data.metrics["test.accuracy"] == pytest.approx(measured.accuracy)
    assert run.data.metrics["test.log_loss"] == pytest.approx(measured.log_loss)
    assert run.data.params["dataset"] == outcome.version.manifest.lineage.dataset.fingerprint
    assert (run.data.params["strategy"], run.data.params["photos.train"]) == ("head", "24")
    assert run.data.tags["catdog.promoted"] == "true"
    assert run.data.tags["catdog.decision"] == outcome.reason
    assert run.data.tags["mlflow.note.content"] == "with notes"
    logged = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert logged == {"manifest.json", "report"}
    reported = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "report")}
    assert reported == {path.name for path in (outcome.version.path / "report").iterdir()}


def test_the_next_version_is_another_run_of_the_experiment_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "pets")
    for _ in range(2):
        published(tmp_path)

    experiment = MlflowClient().get_experiment_by_name("pets")
    assert experiment is not None
    runs = MlflowClient().search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"version 1", "version 2"}


def test_a_server_that_can_t_be_reached_costs_a_warning_and_not_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free.getsockname()[1]}")
        with caplog.at_level(logging.WARNING):
            outcome = published(tmp_path)

    assert outcome.promoted
    assert "version 1 isn't logged to MLFLOW_TRACKING_URI" in caplog.text


def test_without_the_library_the_warning_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)

    published(tmp_path)

    assert "install the extra catdog[mlflow]" in caplog.text


def test_without_a_server_nothing_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setitem(sys.modules, "mlflow", None)

    published(tmp_path)

    assert caplog.text == ""
