"""Runs every command of the page on protocols."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness.environments import interpreter
from tests.app.protocols.test_clients import CLIENTS, ENVIRONMENT
from tests.app.service import ADMIN_KEY, Service
from tests.places import ROOT

PAGE = (ROOT / "docs" / "06-protocols.md").read_text("utf-8")
ADDRESS = "127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, jpeg: bytes) -> Path:
    """The folder that a reader runs the commands in."""
    (tmp_path / "cat.jpg").write_bytes(jpeg)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_text(ADMIN_KEY)
    return tmp_path


def typed(service: Service, folder: Path, *command: str | Path) -> str:
    url = service.client.base_url
    mine = [str(part).replace(ADDRESS, f"{url.host}:{url.port}") for part in command]
    done = subprocess.run(mine, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.rpartition("127.0.0.1:8000")[2])
def test_a_command_of_the_page_is_answered(service: Service, folder: Path, command: str) -> None:
    answer = json.loads(typed(service, folder, "bash", "-c", command))

    assert answer
    assert "error" not in answer
    if "printf" in command:
        assert answer.keys() & {"outputs", "predictions", "results"}


@pytest.mark.whole
def test_the_python_of_the_page_prints_probabilities(service: Service, folder: Path) -> None:
    (program,) = blocks("python")
    python = interpreter(ENVIRONMENT, CLIENTS / "requirements.txt", ROOT)

    assert re.match(r"\[\[0\.\d+ +0\.\d+ *\]\]", typed(service, folder, python, "-c", program))


def test_the_page_has_enough_commands() -> None:
    assert len(COMMANDS) == 9
