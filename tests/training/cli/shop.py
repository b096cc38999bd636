"""The command line, `python -m training COMMAND`, in a folder with its own store and data."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from catdog.versions.store import Store

RANDOM = ("--backbone", "random", "--width", "0.03125")
FEW_EPOCHS = ("--epochs", "2", "--batch-size", "8")
SOONER = "--no-quantize"  # for tests that don't concern int8


def hear_ctrl_c() -> None:
    """Restore the handling of SIGINT, as in a terminal: a script's background job would inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Said(NamedTuple):
    """The output of a command."""

    stdout: str
    stderr: str


class Shop:
    """A folder with its own model store and data, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "models")

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "training", *map(str, arguments)],
            env={**os.environ, "CATDOG_MODELS_DIR": str(self.store.root), "CATDOG_DATA_DIR": str(self.folder / "data")}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=hear_ctrl_c,
        )

    def run(self, *arguments: str | Path, fails: bool = False, **environment: str) -> Said:
        with self.start(*arguments, **environment) as command:
            said = Said(*command.communicate(timeout=300))
        assert bool(command.returncode) == fails, said.stderr
        assert "Traceback" not in said.stderr
        return said
