import json
from datetime import date
from pathlib import Path

import pytest

from benchmarks.gpu import service_on_gpu
from benchmarks.gpu.pages import Measured, Page, Sample
from benchmarks.harness import versions
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import running
from benchmarks.load.client import Client
from benchmarks.load.crowd import Crowd
from tests.benchmarks import services

UPLOAD = Upload.of(b"photo")


@pytest.mark.parametrize("clients", [1, 5])
def test_processes_share_the_clients(tmp_path: Path, clients: int) -> None:
    with running(services.command(services.SOUND), {}, tmp_path) as process, Client(process.port) as client:
        process.seconds_until(lambda: client.predict(UPLOAD) is not None)
        with Crowd({"single": [UPLOAD.request]}, processes=2) as crowd:
            once = crowd.ask(process.port, "single", clients, seconds=0)
            longer = crowd.ask(process.port, "single", clients, seconds=0.2)

    assert once.clients == once.answered == clients
    assert longer.answered > clients
    assert longer.seconds >= 0.2
    assert once.failures == longer.failures == 0


def test_the_share_is_of_the_engine_with_the_largest_batches(tmp_path: Path) -> None:
    measured = Measured("VGG16", {"engine alone, batches of 1": [Sample(100)]})
    measured.samples["engine alone, batches of 64"] = [Sample(900), Sample(1000), Sample(1100)]
    measured.samples["`/predict`, 64 clients"] = [Sample(740, 0.08, 0.1, 2), Sample(760, 0.08, 0.1, 1)]

    page = Page(date(2026, 1, 2), "a GPU", {}, [measured]).write(tmp_path / "page").read_text()

    assert "| engine alone, batches of 64 | 1000 | 900 to 1100 |  |" in page
    assert "| `/predict`, 64 clients | 750 | 740 to 760 | 0.75 | 80.0 | 100.0 |  |  |  | 3 |" in page


@pytest.mark.whole
def test_what_fails_is_noted_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = versions.random(1 / 32, tmp_path / "models")
    models = [str(tmp_path / "missing" / "1"), str(version.path)]
    for name, value in {"SIZES": (1, 2), "BATCH_CLIENTS": 1, "FILES": 2, "DIFFERENT": 2}.items():
        monkeypatch.setattr(service_on_gpu, name, value)
    monkeypatch.setattr("sys.argv", ["gpu", *models, "--rounds=1", "--seconds=0.01", f"--results={tmp_path}"])
    for name, value in {**service_on_gpu.VARIABLES, "KERAS_BACKEND": "jax", "JAX_COMPILATION_CACHE_DIR": ""}.items():
        monkeypatch.setenv(name, value)

    service_on_gpu.main()

    (file,) = tmp_path.glob("*-gpu-jax.json")
    missing, found = json.loads(file.read_text())["models"]
    assert not missing["samples"]
    assert "FileNotFoundError" in missing["notes"][0]
    assert list(found["samples"]) == [
        "engine alone, batches of 1",
        "engine alone, batches of 2",
        "`/predict`, 1 client",
        "`/predict`, 2 clients",
        "`/predict/batch`, 1 client, 2 photos each",
        "decoding alone",
    ]
    assert not any("failed" in note for note in found["notes"])
    for (sample,) in found["samples"].values():
        assert sample["photos_a_second"] > 0
        assert sample["failures"] == 0
    assert "## VGG16 at width 0.03125" in capsys.readouterr().out
