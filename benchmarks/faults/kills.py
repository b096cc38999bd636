"""Kills the service at random moments under load and checks what is lost.

Several clients use a service with a tiny network and SQLite at once: they upload pictures and ZIPs, give feedback,
remove pictures, promote versions, and start and cancel trainings. After each kill the service is restarted. Then
everything acknowledged must exist, everything acknowledged as removed must not, and no file may be left over. It takes
about 4 seconds per kill, uses a temporary folder, and exits with 1 if it finds a problem.
"""

import argparse
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import uuid4
from zipfile import ZipFile

import httpx
import numpy as np
from PIL import Image

from benchmarks.faults.kept import Acknowledged, Findings, examine
from benchmarks.harness import versions
from benchmarks.harness.processes import PATIENCE_SECONDS, Process, python, running

KEY = "the key of the killed service"
VERSIONS = 3
WIDTH = 1 / 32
PHOTOS_IN_A_ZIP = 40
LIVES_SECONDS = (0.05, 2.5)  # duration of the load before the kill
CLEARED_SECONDS = 30.0  # after a start, within which leftovers must be removed
LOOK_SECONDS = 0.1


class Load:
    """Clients of one run of the service; each step notes its request, and then what was acknowledged."""

    def __init__(self, url: str, noted: Acknowledged, chance: random.Random) -> None:
        self._url = url
        self._noted = noted
        self._seeds = {step: chance.randrange(2**32) for step in STEPS}
        self._ended = threading.Event()
        self.answers: Counter[str] = Counter()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Repeat every step, each on its own thread, until the end of the block."""
        threads = [threading.Thread(target=self._repeat, args=(step,)) for step in STEPS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def _repeat(self, step: str) -> None:
        chance = random.Random(self._seeds[step])  # noqa: S311  # nothing secret
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=self._url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            while not self._ended.is_set():
                try:
                    done = STEPS[step](client, self._noted, chance)
                except httpx.HTTPError:  # it was killed
                    self.answers["cut off"] += 1
                    return
                self.answers[step] += done


def add_picture(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    photo = noise(chance)
    noted.maybe_there.add(digest(photo))
    answer = client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": photo})
    return noted.came(answer.is_success, digest(photo))


def add_zip(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    photos = [noise(chance) for _ in range(PHOTOS_IN_A_ZIP)]
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for number, photo in enumerate(photos):
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.png", photo)
    noted.maybe_there.update(map(digest, photos))
    answer = client.post("/datasets/pets/archive", files={"file": ("pets.zip", file.getvalue(), "application/zip")})
    return noted.came(answer.is_success, *map(digest, photos))


def give_feedback(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    photo = noise(chance)
    predicted = client.post("/predict", files={"file": photo})
    if not predicted.is_success:
        return False
    noted.maybe_there.add(digest(photo))
    said = {"prediction_id": predicted.json()["prediction_id"], "label": "dog", "dataset": "pets"}
    return noted.came(client.post("/feedback", json=said).is_success, digest(photo))


def remove_picture(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    there = sorted(noted.there.copy())
    if not there:
        sleep(LOOK_SECONDS)
        return False
    picture = chance.choice(there)
    noted.goes(picture)
    answer = client.delete(f"/datasets/pets/images/{picture}")
    return noted.went(answer.is_success, picture)


def promote(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    version = chance.randint(1, VERSIONS)
    noted.maybe_champions.add(version)
    done = client.post(f"/models/{version}/promote").is_success
    if done:
        noted.champion, noted.maybe_champions = version, set()
    return done


def ask_for_a_training(client: httpx.Client, noted: Acknowledged, chance: random.Random) -> bool:
    asked = client.post("/retrain", json={"dataset": "pets"}, headers={"Idempotency-Key": uuid4().hex})
    if asked.status_code != httpx.codes.ACCEPTED:
        sleep(LOOK_SECONDS)
        return False
    job = asked.json()["id"]
    noted.jobs.add(job)
    if client.delete(f"/retrain/{job}").is_success:
        noted.cancelled.add(job)
    return True


Step = Callable[[httpx.Client, Acknowledged, random.Random], bool]
STEPS: dict[str, Step] = {
    "pictures": add_picture,
    "ZIPs": add_zip,
    "feedback": give_feedback,
    "deletions": remove_picture,
    "promotions": promote,
    "trainings": ask_for_a_training,
}


def noise(chance: random.Random) -> bytes:
    """A photo that is unlike every other."""
    pixels = np.random.default_rng(chance.randrange(2**63)).integers(0, 256, (24, 24, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def digest(photo: bytes) -> str:
    return sha256(photo).hexdigest()


def is_ready(process: Process) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{process.port}/health/ready").is_success
    return False


def cleared(folder: Path, noted: Acknowledged) -> Findings:
    """The problems after the service had time to clean up."""
    until = monotonic() + CLEARED_SECONDS
    while (found := examine(folder, noted)).left and monotonic() < until:
        sleep(LOOK_SECONDS)
    return found


def kill_once(folder: Path, noted: Acknowledged, chance: random.Random) -> tuple[Findings, Counter[str]]:
    """One run of the service: check the state after the last kill, then load and a kill."""
    settings = {
        "CATDOG_MODELS_DIR": str(folder / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
        "CATDOG_WORKER": "none",
        "CATDOG_KEEP_UPLOADS": "200",
    }
    with running(python("app"), settings, folder) as process:
        process.seconds_until(lambda: is_ready(process))
        found = cleared(folder, noted)
        noted.settle(folder)
        load = Load(f"http://127.0.0.1:{process.port}", noted, chance)
        with load.applied():
            sleep(chance.uniform(*LIVES_SECONDS))
            process.popen.send_signal(signal.SIGKILL)
            process.popen.wait()
    return found, load.answers


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.faults.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311  # nothing secret
    noted, total, wrong = Acknowledged(), Counter[str](), list[str]()
    with TemporaryDirectory(prefix="catdog-kills-") as name:
        folder = Path(name)
        for _ in range(VERSIONS):
            versions.random(WIDTH, folder / "models")
        for life in range(arguments.kills + 1):  # the last run is only checked, then killed
            found, answers = kill_once(folder, noted, chance)
            wrong += [f"after kill {life}: {sentence}" for sentence in found.sentences()]
            print(f"\r{life} of {arguments.kills} kills", end="", file=sys.stderr, flush=True)
            total += answers if life < arguments.kills else Counter()
        wrong += examine(folder, noted, is_clear=False).sentences()
    print(f"{arguments.kills} kills; acknowledged: {', '.join(f'{n:,} {what}' for what, n in sorted(total.items()))}")
    print("\n".join(wrong) if wrong else "nothing acknowledged was lost, nothing removed came back, no file was left")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
