"""Runs `catdog` as a user types it, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.places import ROOT

FROM_CHECKOUT = (sys.executable, "-m", "command")
# Without colours, wide enough that no line is wrapped.
PLAIN = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


class Catdog:
    """A folder, and the command in it; `models` is the store, None for the one that the command finds itself."""

    def __init__(self, folder: Path, models: Path | None = None, program: Sequence[str] = FROM_CHECKOUT) -> None:
        self.folder = folder
        self._program = program
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CATDOG_")}
        self.environment = environment | PLAIN | {"XDG_CACHE_HOME": str(folder / "cache")}
        if program is FROM_CHECKOUT:
            self.environment["PYTHONPATH"] = str(ROOT)
        if models is not None:
            self.environment["CATDOG_MODELS_DIR"] = str(models)

    def start(self, *words: str | Path, stdin: int | None = None, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._program, *map(str, words)],
            cwd=self.folder,
            env=self.environment | variables,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(
        self, *words: str | Path, status: int = 0, given: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, which must have this exit status; nothing that it prints may be a trace."""
        with self.start(*words, stdin=subprocess.PIPE, **variables) as process:
            stdout, stderr = process.communicate(given)
        assert process.returncode == status, f"{words}\n{stdout}\n{stderr}"
        assert "Traceback" not in stderr
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
