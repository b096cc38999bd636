"""Kills `catdog classify` at random moments, runs it again, and checks that each photo has one row.

A network of 1/32 of the width classifies real photos, each several times. The command is killed by kill -9 after a
random part of the time that a whole run takes, start and end included, and the same command continues; when one comes
to its end, its table must have one row for each photo with the answer of the service, and the next begins anew. With
`--ray` the photos come from moto's S3 server, the command runs on a Ray cluster of three nodes on this machine, and
about half of the kills hit a node instead of the command. It exits with 1 if it finds a problem.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx
from pyarrow import parquet

from benchmarks.faults import storage
from benchmarks.harness import photos, ray_cluster, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import PATIENCE_SECONDS, environment, python, running
from benchmarks.harness.ray_cluster import Cluster

WIDTH = 1 / 32
SAME = 1e-6  # of a probability
RESULT = "result.parquet"
BUCKET = "photos"
Answers = dict[str, list[float]]  # probabilities by the name of the photo, which should have one


class Command:
    """The command in a folder of its own, which also has the photos and the version; on a cluster if there is one."""

    def __init__(self, folder: Path, source: str, cluster: Cluster | None) -> None:
        (folder / "results").mkdir()
        result = folder / "results" / RESULT
        words = ["classify", source, "--to", str(result)]
        self._cluster = cluster
        self._result = result
        self._variables = _settings(folder)
        if cluster is None:
            self._command = python("command", *words)
        else:
            self._command = python("command", *words, "--ray", cluster.address, interpreter=cluster.python)
            self._variables |= cluster.variables

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, cwd=self._result.parent, env=environment(self._variables), stdout=subprocess.DEVNULL
        )

    def disturb(self, process: subprocess.Popen[bytes], chance: random.Random) -> str:
        """Kill the command or a node, and return which."""
        if self._cluster is not None and chance.random() < 0.5:
            self._cluster.kill_a_node()
            return "nodes"
        process.kill()
        process.wait()
        return "commands"

    def take(self) -> Answers:
        """The answers of a complete result, which is removed."""
        found: Answers = {}
        for row in parquet.read_table(self._result, columns=["path", "cat"]).to_pylist():
            found.setdefault(Path(row["path"]).name, []).append(row["cat"])
        shutil.rmtree(self._result) if self._result.is_dir() else self._result.unlink()
        return found

    def is_complete(self) -> bool:
        """Whether nothing remains to be done: it was killed as it ended."""
        return self._result.exists() and not self.left()

    def left(self) -> list[str]:
        """Files next to a complete result that shouldn't be there."""
        return [path.name for path in self._result.parent.iterdir() if path != self._result]


def problems(found: Answers, expected: Answers, left: list[str]) -> list[str]:
    """What is wrong with a result, in sentences."""
    lost = sorted(expected.keys() - found.keys())
    doubled = [path for path, answers in found.items() if len(answers) > 1]
    other = [path for path, (answer, *_) in found.items() if abs(answer - expected.get(path, [2.0])[0]) > SAME]
    kinds = {"lost": lost, "doubled": doubled, "with another answer": other, "left over": left}
    return [f"{len(names)} {kind}: {', '.join(names[:5])}" for kind, names in kinds.items() if names]


def measure(command: Command, expected: Answers, kills: int, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Kill so often; returns what was killed, how many tables were completed after kills, and the problems."""
    began = monotonic()
    if command.start().wait():
        raise RuntimeError("the undisturbed command failed")
    seconds, done = monotonic() - began, 0
    wrong = [f"without a kill: {each}" for each in problems(command.take(), expected, command.left())]
    happened, was_disturbed = Counter[str](), False
    while done < kills or was_disturbed:
        process = command.start()
        status = None
        while status is None:
            try:
                status = process.wait(chance.uniform(0, seconds) if done < kills else None)
            except subprocess.TimeoutExpired:
                happened[command.disturb(process, chance)] += 1
                done, was_disturbed, status = done + 1, True, process.poll()
                print(f"\r{done} of {kills} kills", end="", file=sys.stderr, flush=True)
        if status == -signal.SIGKILL and not command.is_complete():
            continue
        if status not in (0, -signal.SIGKILL):
            return happened, [*wrong, f"after {done} kills the command failed with status {status}"]
        left = command.left()
        wrong += [f"after {done} kills: {each}" for each in problems(command.take(), expected, left)]
        happened["tables"] += was_disturbed
        was_disturbed = False
    return happened, wrong


def answers(folder: Path, count: int) -> Answers:
    """What a service with the version in the folder says of this many photos, each original several times."""
    originals = photos.photos()
    with running(python("app"), _settings(folder) | {"CATDOG_WORKER": "none"}, folder) as service:
        url = f"http://127.0.0.1:{service.port}"
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            service.seconds_until(lambda: _is_ready(client))
            asked = (client.post(photos.PREDICT, files={"file": photo}) for photo in originals)
            said = [answer.raise_for_status().json()["probabilities"]["cat"] for answer in asked]
    return {f"{number:06}.jpg": [said[number % len(said)]] for number in range(count)}


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").is_success
    except httpx.TransportError:
        return False


def _settings(folder: Path) -> dict[str, str]:
    return {"CATDOG_MODELS_DIR": str(folder / "models"), "CATDOG_DATA_DIR": str(folder / "data")}


@contextmanager
def here(folder: Path, expected: Answers) -> Iterator[Command]:
    """The command, with the photos in a folder."""
    originals, source = photos.photos(), folder / "photos"
    source.mkdir()
    for number, name in enumerate(expected):
        if number < len(originals):
            (source / name).write_bytes(originals[number])
        else:
            (source / name).hardlink_to(source / f"{number % len(originals):06}.jpg")
    yield Command(folder, str(source), None)


@contextmanager
def on_cluster(folder: Path, expected: Answers) -> Iterator[Command]:
    """The command on a cluster, with the photos in a bucket."""
    originals = photos.photos()
    with storage.server(folder / "s3", BUCKET) as server:
        connection = HTTPConnection("127.0.0.1", server.port)
        for number, name in enumerate(expected):
            connection.request("PUT", f"/{BUCKET}/{name}", originals[number % len(originals)])
            connection.getresponse().read()
        connection.close()
        with ray_cluster.cluster() as cluster:
            yield Command(folder, f"s3://{BUCKET}", cluster)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.classify_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--photos", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster, which it installs (2.7 GB)")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="catdog-kills-") as name:
        folder = Path(name)
        versions.random(WIDTH, folder / "models")
        expected = answers(folder, given.photos)
        with (on_cluster if given.ray else here)(folder, expected) as command:
            chance = random.Random(given.seed)  # noqa: S311  # nothing secret
            happened, wrong = measure(command, expected, given.kills, chance)
    kills = happened["commands"] + happened["nodes"]
    of_nodes = f", {happened['nodes']} of them of a node," if given.ray else ""
    print(f"{Machine.this().where}")
    print(f"{kills} kills{of_nodes} of {given.photos:,} photos, {happened['tables']} tables completed after them")
    print("\n".join(wrong) if wrong else "each photo has one row, with the answer of the service")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
