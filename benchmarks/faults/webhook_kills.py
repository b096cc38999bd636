"""Kills the service at random moments while events are sent, and checks that none is lost.

Clients of a service with a tiny network and SQLite create data sets, add pictures, promote versions and roll back. A
receiver gets the events, and refuses every tenth request. After each kill the service is restarted. At the end, every
change that was acknowledged must have its event, and every event must have arrived with a right signature; arrivals
with the same id are counted as duplicates. It takes about 4 seconds per kill, uses a temporary folder, and exits with 1
if it finds a problem.
"""

import argparse
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import uuid4

import httpx

from benchmarks.faults.kills import KEY, LIVES_SECONDS, LOOK_SECONDS, VERSIONS, WIDTH, is_ready, noise
from benchmarks.faults.webhook_receiver import SECRET, Receiver
from benchmarks.harness import versions
from benchmarks.harness.processes import PATIENCE_SECONDS, Process, python, running
from catdog.database import Database
from catdog.versions.store import Store
from catdog.webhooks.deliveries import Deliveries, Delivery
from catdog.webhooks.message import Kind, Status

ARRIVAL_SECONDS = 900.0  # after the last kill, within which every event must have arrived
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}


@dataclass
class Acknowledged:
    """Changes that the service acknowledged: of data sets, and of the champion in their order."""

    datasets: set[tuple[str, str]] = field(default_factory=set)  # name, change
    champions: list[tuple[str, int]] = field(default_factory=list)  # kind of event, version


@dataclass(frozen=True)
class Run:
    """One run of the service: its client, its folder, and what to note."""

    client: httpx.Client
    folder: Path
    noted: Acknowledged
    chance: random.Random


def create_dataset(run: Run) -> None:
    name = f"made-{uuid4().hex[:16]}"
    run.client.post("/datasets", json={"name": name}).raise_for_status()
    run.noted.datasets.add((name, "created"))


def add_picture(run: Run) -> None:
    name = f"filled-{uuid4().hex[:16]}"
    photo = {"file": noise(run.chance)}
    run.client.post(f"/datasets/{name}/images", data={"label": "cat"}, files=photo).raise_for_status()
    run.noted.datasets.add((name, "added"))


def change_champion(run: Run) -> None:
    """Promote another version, or roll back; this thread alone does so."""
    champion = Store(run.folder / "models").champion()
    if run.chance.random() < 0.3:
        answer = run.client.post("/rollback")
        kind = Kind.VERSION_ROLLED_BACK
    else:
        other = run.chance.choice([number for number in range(1, VERSIONS + 1) if number != champion])
        answer = run.client.post(f"/models/{other}/promote")
        kind = Kind.VERSION_PROMOTED
    if answer.is_success:  # without an earlier champion there is nothing to roll back to
        run.noted.champions.append((kind, answer.json()["version"]))


STEPS: tuple[Callable[[Run], None], ...] = (create_dataset, add_picture, change_champion)


@contextmanager
def load(url: str, folder: Path, noted: Acknowledged, chance: random.Random) -> Iterator[None]:
    """Repeat every step, each on its own thread, until the service is gone or the block ends."""
    over = threading.Event()

    def repeat(step: Callable[[Run], None], seed: int) -> None:
        with httpx.Client(base_url=url, headers=AUTHORIZATION, timeout=PATIENCE_SECONDS) as client:
            run = Run(client, folder, noted, random.Random(seed))  # noqa: S311  # nothing secret
            with suppress(httpx.TransportError):  # it was killed
                while not over.is_set():
                    step(run)

    threads = [threading.Thread(target=repeat, args=(step, chance.randrange(2**32))) for step in STEPS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def serving(folder: Path, receiver: Receiver) -> Iterator[Process]:
    settings = {
        "CATDOG_MODELS_DIR": str(folder / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_WORKER": "none",
        "CATDOG_WEBHOOK_URLS": receiver.url,
        "CATDOG_WEBHOOK_SECRET": SECRET,
        "CATDOG_WEBHOOK_PRIVATE": "true",
        "CATDOG_WEBHOOK_SECONDS": "5",
    }
    with running(python("app"), settings, folder) as process:
        process.seconds_until(lambda: is_ready(process))
        yield process


def sends_events(process: Process) -> bool:
    """Whether the service knows the URL: what happened before isn't sent."""
    return bool(asked(process, "limit=1")["urls"])


def asked(process: Process, query: str) -> dict[str, list[object]]:
    url = f"http://127.0.0.1:{process.port}/webhooks?{query}"
    answer: dict[str, list[object]] = httpx.get(url, headers=AUTHORIZATION, timeout=PATIENCE_SECONDS).json()
    return answer


def kill_once(folder: Path, receiver: Receiver, noted: Acknowledged, chance: random.Random) -> None:
    with serving(folder, receiver) as process:
        process.seconds_until(lambda: sends_events(process))
        with load(f"http://127.0.0.1:{process.port}", folder, noted, chance):
            sleep(chance.uniform(*LIVES_SECONDS))
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()


def recorded(folder: Path) -> list[Delivery]:
    """Every event of the database, in order."""
    database = Database.of(folder / "data")
    try:
        return Deliveries(database).newest(10**9)[::-1]
    finally:
        database.close()


def settle(folder: Path, receiver: Receiver) -> None:
    """Run the service until no event waits, for ARRIVAL_SECONDS at most."""
    with serving(folder, receiver) as process:
        until = monotonic() + ARRIVAL_SECONDS
        while asked(process, f"status={Status.WAITING}&limit=1")["deliveries"] and monotonic() < until:
            sleep(LOOK_SECONDS * 10)


def problems(events: list[Delivery], receiver: Receiver, noted: Acknowledged) -> list[str]:
    """What was acknowledged and has no event, and what never arrived."""
    arrived = receiver.arrivals
    changed = {(one.data["dataset"], one.data["change"]) for one in events if one.kind == Kind.DATASET_CHANGED}
    found = [f"no event says that data set {name} was {what}" for name, what in sorted(noted.datasets - changed)]
    champions = iter(
        [(one.kind, one.data["version"]) for one in events if one.kind.startswith("version.")]
    )  # an acknowledged change is in them, in order, between changes that a kill left without an answer
    found += [f"no event {kind} {version}" for kind, version in noted.champions if (kind, version) not in champions]
    found += [f"event {one.id} ({one.kind}, {one.status}) never arrived" for one in events if not arrived[one.event]]
    return found + [f"{receiver.forged} requests had a wrong signature"] * (receiver.forged > 0)


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.webhook_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311  # nothing secret
    noted = Acknowledged()
    with TemporaryDirectory(prefix="catdog-webhooks-") as name, Receiver().listening() as receiver:
        folder = Path(name)
        for _ in range(VERSIONS):
            versions.random(WIDTH, folder / "models")
        for life in range(arguments.kills):
            kill_once(folder, receiver, noted, chance)
            print(f"\r{life + 1} of {arguments.kills} kills", end="", file=sys.stderr, flush=True)
        settle(folder, receiver)
        events = recorded(folder)
        wrong = problems(events, receiver, noted)
    _report(arguments.kills, noted, events, receiver.arrivals)
    print("\n".join(wrong) if wrong else "every acknowledged change has its event, and every event arrived")
    return 1 if wrong else 0


def _report(kills: int, noted: Acknowledged, events: list[Delivery], arrivals: Counter[str]) -> None:
    again = sum(count - 1 for count in arrivals.values())
    changes = f"{len(noted.datasets):,} changes to data sets, {len(noted.champions):,} promotions and rollbacks"
    print(f"{kills} kills; acknowledged: {changes}")
    print(f"{len(events):,} events recorded, {len(arrivals):,} arrived; {again:,} more arrivals were duplicates")


if __name__ == "__main__":
    sys.exit(main())
