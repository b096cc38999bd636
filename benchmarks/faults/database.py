"""Loses the database under load, and counts failures.

`python -m benchmarks.faults.database` runs PostgreSQL, and a service with a tiny network under the load of clients with
a named key; a further client adds pictures to a data set. The server is ended like a crash, and later it hangs.
Predictions must go on, requests that write must be answered 503 with `Retry-After`, and afterwards everything that was
acknowledged must be there. It exits with 1 if it finds a problem.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import Final

from benchmarks.faults.kills import is_ready
from benchmarks.faults.postgres import Server, hung, server
from benchmarks.faults.processes import asked
from benchmarks.faults.writing import BACK_SECONDS, KEY, WRITE_SECONDS, Writer, Writes, request, stored
from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import Process, python, running

WIDTH: Final = 1 / 32
CLIENTS: Final = 4
BEFORE_SECONDS: Final = 10.0  # of load before an outage, so that something is acknowledged
SLOWEST_SECONDS: Final = 20.0  # for the answer to a request that writes


@contextmanager
def service(folder: Path, database: Server) -> Iterator[Process]:
    versions.random(WIDTH, folder / "models")
    settings = {
        "CATDOG_MODELS_DIR": str(folder / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_DATABASE_URL": database.url,
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_KEY_REQUIRED": "true",
        "CATDOG_WORKER": "none",
    }
    with running(python("app"), settings, folder) as process:
        process.seconds_until(lambda: is_ready(process))
        yield process


def named_key(process: Process) -> str:
    """A new key with the role `predict`."""
    _, body = request(process, "POST", "/keys", json.dumps({"name": "robot", "role": "predict"}).encode())
    return str(json.loads(body)["key"])


def away(process: Process, key: str, outage: AbstractContextManager[None], seconds: float, what: str) -> list[str]:
    """Let the server be away under load; returns what is wrong."""
    writes, ended = Writes(), Event()
    writer = Writer(process, writes, ended, start=hash(what) % 10**6)
    with asked(process, CLIENTS, {}, {"Authorization": f"Bearer {key}"}) as found:
        writer.start()
        Event().wait(BEFORE_SECONDS)
        with outage:
            Event().wait(seconds)
        back = perf_counter()
        while writes.last < back and perf_counter() < back + BACK_SECONDS:
            Event().wait(WRITE_SECONDS)
        ended.set()
        writer.join()
    lost = writes.acknowledged - stored(process)
    print(
        f"{seconds:g} s with a database that {what}: {found.answered:,} predictions, {len(found.others)} failed;"
        f" {len(writes.acknowledged)} pictures acknowledged, {len(lost)} lost, {writes.refused} refused, the slowest"
        f" answer after {writes.slowest:.1f} s; writing again after {writes.last - back:.1f} s"
    )
    wrong = [*found.others, *writes.wrong, *(f"picture {one} was acknowledged and is lost" for one in lost)]
    if not writes.refused or writes.slowest > SLOWEST_SECONDS or writes.last < back:
        wrong.append(f"{writes.refused} pictures refused, {writes.slowest:.1f} s for an answer, or no more writing")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.database", description=__doc__)
    parser.add_argument("--away", type=float, default=60, help="seconds of each outage (60)")
    given = parser.parse_args()
    print(Machine.this().where)
    with TemporaryDirectory(prefix="catdog-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server runs as another user than root
        with server(folder / "postgresql") as database, service(folder, database) as process:
            key = named_key(process)
            wrong = away(process, key, database.ended(), given.away, "refuses connections")
            wrong += away(process, key, hung(database.url), given.away, "hangs")
    for problem in wrong[:10]:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
