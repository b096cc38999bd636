"""Stops the service under load and counts failed requests.

Clients keep their connections alive and send requests without a pause. Then the service gets SIGTERM. A request on an
open connection without a complete answer is lost. A refused connection isn't a loss: the service has ended.
"""

import argparse
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

from benchmarks.harness import photos
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import PREDICT
from benchmarks.harness.processes import END_SECONDS, ROOT, python, running
from benchmarks.load.client import Client

LOAD_SECONDS = 1.0  # before the signal
CLIENT_SECONDS = 60


class Asking(Thread):
    """One client: alternating predictions and health checks, until the service accepts no connection."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self.answered = 0
        self.lost: list[str] = []
        self._port, self._number = port, number
        self._photo = photos.photos()[number % 10]

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=CLIENT_SECONDS)
        while True:
            if connection.sock is None:  # the service closed it, as announced in an answer
                try:
                    connection.connect()
                except OSError:
                    return
            try:
                self._ask(connection)
            except (OSError, HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()

    def _ask(self, connection: HTTPConnection) -> None:
        self._number += 1
        if self._number % 2:
            connection.request("POST", PREDICT, self._photo, {"Content-Type": "image/jpeg"})
        else:
            connection.request("GET", "/health/live")
        response = connection.getresponse()
        response.read()
        if response.status not in (200, 503):
            raise HTTPException(response.status)
        self.answered += 1


def stop(clients: int, folder: Path) -> tuple[int, list[str], float]:
    """Stop once: the number of answers, the errors of lost requests, and the seconds from SIGTERM to the end."""
    settings = {
        "CATDOG_MODELS_DIR": str(ROOT / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_WORKER": "none",
    }
    with running(python("app"), settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        asking = [Asking(process.port, number) for number in range(clients)]
        for each in asking:
            each.start()
        Event().wait(LOAD_SECONDS)
        began = perf_counter()
        process.popen.terminate()
        process.popen.wait(END_SECONDS)
        seconds = perf_counter() - began
        for each in asking:
            each.join()
    return sum(each.answered for each in asking), [error for each in asking for error in each.lost], seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.faults.stopping", description="Stops the service under load."
    )
    parser.add_argument("--stops", type=int, default=15, help="number of stops (15)")
    parser.add_argument("--clients", type=int, default=8, help="number of clients (8)")
    given = parser.parse_args()
    sys.stdout.write(f"{Machine.this().where}\n")
    lost = 0
    for number in range(given.stops):
        with TemporaryDirectory() as folder:
            answered, errors, seconds = stop(given.clients, Path(folder))
        lost += len(errors)
        sys.stdout.write(
            f"stop {number + 1}: {answered} answered, {len(errors)} lost {errors[:2]}, ended after {seconds:.1f} s\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"{lost} requests lost in {given.stops} stops\n")


if __name__ == "__main__":
    main()
