"""The findings of `python -m app doctor`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import diagnostics
from app.settings import Settings
from catdog import __version__
from tests.places import ROOT

SHIPPED = ROOT / "models"


def examined(is_well: bool = True, **settings: object) -> dict[str, str]:
    """The findings that are well, or the failed ones, by check."""
    findings = diagnostics.examine(Settings.model_validate(settings))
    return {one.what: one.found for one in findings if one.is_well == is_well}


def test_it_says_what_would_be_run_and_why(models_dir: Path, tmp_path: Path) -> None:
    found = examined(models_dir=models_dir, data_dir=tmp_path)

    assert found["versions"].startswith(f"catdog {__version__}, Python 3.")
    assert "openvino " in found["versions"]
    assert found["engine"] == "openvino: the default; CATDOG_ENGINE=auto looks for a GPU"
    assert re.fullmatch(r"\d+: the cores that this process may use, of \d+", found["threads"])
    assert found["processes"] == "1, with every core (by default)"
    assert re.fullmatch(r"[\d,]+ MiB of request bodies in memory, [\d,]+ connections", found["limits"])
    assert found["model"].startswith("version 1 (cat, dog; ")
    assert found["model"].endswith("which holds: 1")
    assert re.fullmatch(
        r"(bf16|f32): it has no int8 graph; the processor has (no )?fast bfloat16 arithmetic", found["precision"]
    )
    assert found["database"] == "SQLite in the data folder answers"


def test_what_the_settings_say_is_given_as_the_reason(models_dir: Path, tmp_path: Path) -> None:
    found = examined(
        models_dir=models_dir,
        data_dir=tmp_path,
        precision="f32",
        processes=2,
        threads=1,
        streams=1,
        max_bodies_bytes=2**30,
        max_connections=9,
    )

    assert found["precision"] == "f32: set by CATDOG_PRECISION"
    assert re.fullmatch(r"2, which share \d+ cores \(set by CATDOG_PROCESSES\)", found["processes"])
    assert found["threads"] == "1: set by CATDOG_THREADS"
    assert found["streams"] == "1: set by CATDOG_STREAMS"
    assert found["limits"] == "1,024 MiB of request bodies in memory, 9 connections"


def test_the_shipped_version_says_what_int8_costs(tmp_path: Path) -> None:
    found = examined(models_dir=SHIPPED, data_dir=tmp_path)

    assert re.fullmatch(
        r"int8: accuracy on [\d,]+ validation photos: \d\d\.\d\d%, in float32 \d\d\.\d\d%", found["precision"]
    )


def test_a_damaged_int8_graph_is_reported(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "models")
    (tmp_path / "models" / "1" / "int8.bin").write_bytes(b"")

    found = examined(models_dir=tmp_path / "models", data_dir=tmp_path)

    assert re.fullmatch(r"(bf16|f32): its int8 graph is damaged or missing; the processor has .*", found["precision"])


def test_what_would_keep_it_from_serving_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = examined(is_well=False, models_dir=tmp_path, data_dir=tmp_path / "file", database_url="nonsense://")

    assert "no version is in service" in found["model"]
    assert "can't be written" in found["data"]
    assert "CATDOG_DATABASE_URL can't be used" in found["database"]


def test_an_engine_that_is_not_there_ends_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)

    assert list(examined(is_well=False, engine="keras")) == ["engine"]


@pytest.mark.parametrize(("database", "status"), [("", 0), ("nonsense://", 1)])
def test_the_command_ends_with_a_status_that_tells(
    models_dir: Path, tmp_path: Path, database: str, status: int
) -> None:
    settings = {"CATDOG_MODELS_DIR": str(models_dir), "CATDOG_DATA_DIR": str(tmp_path), "CATDOG_DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "-m", "app", "doctor"], env=settings, capture_output=True, encoding="utf-8", check=False
    )

    assert done.returncode == status
    assert ("FAILED: " in done.stdout) == bool(status)
