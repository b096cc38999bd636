"""Kills `catdog classify` at random moments, runs it again, and checks that each photo has one row.

A network of 1/32 of the width classifies a folder of real photos, each several times. The command is killed by kill -9
after a random part of the time that a whole run takes, start and end included, and the same command continues; when one
comes to its end, its table must have the rows of a run that wasn't disturbed, and the next begins anew. It exits with 1
if it finds a problem.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from pyarrow import parquet

from benchmarks.harness import photos, versions
from benchmarks.harness.processes import ROOT

WIDTH = 1 / 32
SAME = 1e-6  # of a probability
RESULT = "result.parquet"


class Command:
    """The command in a folder of its own, which also has the photos and the version."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        versions.random(WIDTH, folder / "models")
        (folder / "photos").mkdir()
        (folder / "results").mkdir()
        originals = photos.photos()
        for number in range(count):
            file = folder / "photos" / f"{number:06}.jpg"
            if number < len(originals):
                file.write_bytes(originals[number])
            else:
                file.hardlink_to(folder / "photos" / f"{number % len(originals):06}.jpg")

    def start(self) -> subprocess.Popen[bytes]:
        variables = {"CATDOG_MODELS_DIR": str(self._folder / "models"), "CATDOG_DATA_DIR": str(self._folder / "data")}
        words = ["classify", str(self._folder / "photos"), "--to", str(self._folder / "results" / RESULT)]
        command = [sys.executable, "-m", "command", *words]
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.DEVNULL)

    def take(self) -> dict[str, list[float]]:
        """The probabilities of a complete result by path, which is removed; a path with two rows has all of them."""
        found: dict[str, list[float]] = {}
        file = self._folder / "results" / RESULT
        table = parquet.read_table(file).to_pylist()
        for row in table:
            found.setdefault(Path(row["path"]).name, []).append(row["cat"])
        file.unlink()
        return found

    def is_complete(self) -> bool:
        """Whether nothing remains to be done: it was killed as it ended."""
        return {path.name for path in (self._folder / "results").iterdir()} == {RESULT}

    def left(self) -> list[str]:
        """Files next to a complete result that shouldn't be there."""
        return [path.name for path in (self._folder / "results").iterdir() if path.name != RESULT]


def problems(found: dict[str, list[float]], expected: dict[str, list[float]], left: list[str]) -> list[str]:
    """What is wrong with a result, in sentences."""
    lost = sorted(expected.keys() - found.keys())
    doubled = [path for path, answers in found.items() if len(answers) > 1]
    other = [path for path, (answer, *_) in found.items() if abs(answer - expected.get(path, [2.0])[0]) > SAME]
    kinds = {"lost": lost, "doubled": doubled, "with another answer": other, "left over": left}
    return [f"{len(names)} {kind}: {', '.join(names[:5])}" for kind, names in kinds.items() if names]


def measure(command: Command, kills: int, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Kill the command so often; returns what happened, and the problems."""
    began = monotonic()
    if command.start().wait():
        raise RuntimeError("the undisturbed command failed")
    seconds, expected = monotonic() - began, command.take()
    happened, wrong = Counter[str](), list[str]()
    while happened["kills"] < kills or happened["unfinished"]:
        process = command.start()
        try:
            status = process.wait(chance.uniform(0, seconds) if happened["kills"] < kills else None)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if status == -signal.SIGKILL:
            happened["kills"] += 1
            happened["unfinished"] = 1
            print(f"\r{happened['kills']} of {kills} kills", end="", file=sys.stderr, flush=True)
            if not command.is_complete():
                continue
        elif status:
            return happened, [*wrong, f"after {happened['kills']} kills the command failed with status {status}"]
        left = command.left()
        wrong += [f"after {happened['kills']} kills: {each}" for each in problems(command.take(), expected, left)]
        happened["tables"] += happened["unfinished"]
        happened["unfinished"] = 0
    return happened, wrong


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.classify_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--photos", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="catdog-kills-") as name:
        command = Command(Path(name), given.photos)
        happened, wrong = measure(command, given.kills, random.Random(given.seed))  # noqa: S311  # nothing secret
    print(f"{happened['kills']} kills of {given.photos:,} photos, {happened['tables']} tables completed after them")
    print("\n".join(wrong) if wrong else "each photo has one row, with the answer of a run that wasn't disturbed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
