"""Measures how often the promotion rule promotes a worse model: the table of decision 12.

`python -m benchmarks.experiments.promotions [SETS]` trains on SETS (30) random small data sets, lets the rule decide on
each version, and compares it with the champion on 300 photos that neither was trained or tested on. It needs the photos
in ../shared/data.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

import numpy as np
from scipy.stats import binomtest

from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import ROOT
from catdog.errors import CatdogError
from catdog.splits import by_content
from catdog.versions.manifest import Decision
from catdog.versions.store import SHIPPED, Store, Version
from training.data.dataset import Photo, labels
from training.data.features import FeatureExtractor
from training.evaluation.champion_comparison import Contender
from training.fitting.config import Config, Stage
from training.fitting.observer import Observer, Terminal
from training.publishing.pipeline import Request, train

HELD_OUT: Final = 300
FEWEST, MOST = 20, 300  # photos in a data set
TESTED: Final = 30  # test photos of each class, if a data set has any
CHANCE: Final = 0.05
BREEDS: Final = ("Abyssinian", "American Bobtail", "American Curl")
FINE_TUNED: Final = {  # trials that fine-tune, which takes minutes: photos, and whether test photos are included
    6: (60, False),
    13: (110, True),
    20: (102, False),
    27: (150, True),
}

Photos = Mapping[str, Sequence[Path]]  # by class


class Quiet(Terminal):
    """Prints only skipped photos."""

    def epoch(self, row: Mapping[str, float], epochs: int) -> None:
        """Not printed."""


@dataclass(frozen=True)
class Trial:
    """A data set, its training, and the results: which held-out photos are wrong and unknown, (n,) each."""

    photos: int
    classes: int
    strategy: str
    brings_test_photos: bool
    decision: Decision
    promoted: bool
    wrong: tuple[np.ndarray, np.ndarray]  # of the champion, and of the new version
    unknown: tuple[np.ndarray, np.ndarray]

    @property
    def is_worse(self) -> bool:
        """Whether the new version is significantly worse, in errors or in photos called unknown."""
        return min(chance(*self.wrong), chance(*self.unknown)) < CHANCE

    def row(self, number: int) -> str:
        broken = ", ".join(rule.name for rule in self.decision.rules if not rule.passed)
        cells = [
            f"{number}",
            f"{self.photos}{' with test photos' if self.brings_test_photos else ''}",
            f"{self.classes}",
            self.strategy,
            f"{self.decision.photos:,}",
            f"{self.decision.photos_left_out:,}",
            "promoted" if self.promoted else f"kept out: {broken or self.decision.reason}",
            f"{self.wrong[0].sum()} → {self.wrong[1].sum()} (p = {chance(*self.wrong):.2g})",
            f"{self.unknown[0].sum()} → {self.unknown[1].sum()} (p = {chance(*self.unknown):.2g})",
        ]
        return f"| {' | '.join(cells)} |"


def chance(before: np.ndarray, after: np.ndarray) -> float:
    """The one-sided p-value of McNemar's exact test for an increase, from bool (n,) each."""
    lost, won = int((after & ~before).sum()), int((before & ~after).sum())
    return float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0


def drawn(photos: Photos, size: int, brings_test_photos: bool, random: np.random.Generator, folder: Path) -> Path:
    """A folder with `size` photos, about equally many of each class; split by content, or with split folders."""
    for place, (label, paths) in enumerate(photos.items()):
        count = size // len(photos) + (place < size % len(photos))
        some = [paths[index] for index in random.permutation(len(paths))[:count]]
        tested = min(TESTED, count // 2) if brings_test_photos else 0
        validated = max(1, count // 10)
        for index, path in enumerate(some):
            split = "test" if index < tested else "validation" if index < tested + validated else "train"
            target = folder / split / label if brings_test_photos else folder / label
            target.mkdir(parents=True, exist_ok=True)
            (target / path.name).symlink_to(path)
    return folder


def tried(
    config: Config, data: Path, size: int, held_out: Sequence[Photo], store: Store, data_dir: Path, observer: Observer
) -> Trial:
    """Train on a folder, apply the rule, and measure both on the held-out photos; then restore the champion."""
    champion = store.champion()
    brings = (data / "test").is_dir()
    outcome = train(Request(config, data, command="benchmarks.experiments.promotions"), store, data_dir, observer)
    before, after = (_measured(version, held_out, data_dir) for version in (store.open(champion), outcome.version))
    if outcome.promoted:
        store.promote(champion)
    store.delete(outcome.version.number)
    wrong, unknown = zip(before, after, strict=True)
    classes = len(outcome.version.manifest.classes)
    return Trial(size, classes, config.strategy, brings, outcome.decision, outcome.promoted, wrong, unknown)


def _measured(version: Version, photos: Sequence[Photo], data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Which photos the version gets wrong, and which it calls unknown: bool (n,) each."""
    contender = Contender.of(version)
    readable, output, _ = FeatureExtractor(data_dir / "features", _broken).outputs(photos, contender.network)
    said = contender.answers(output)
    unknown = np.zeros(len(readable), bool) if said.unknown is None else said.unknown
    return said.probabilities.argmax(axis=1) != labels(readable), unknown


def _broken(photo: Photo, error: CatdogError) -> None:
    raise error


def held_out_of(photos: Photos, share: int) -> tuple[list[Photo], dict[str, list[Path]]]:
    """`share` held-out photos of each class, chosen by sha256, and all others."""
    held: list[Photo] = []
    others = {}
    for label, (name, paths) in enumerate(photos.items()):
        hashed = sorted((sha256(path.read_bytes()).hexdigest(), path) for path in paths)
        held += [Photo(path, label, digest, path.name) for digest, path in hashed[:share]]
        others[name] = [path for _, path in hashed[share:]]
    return held, others


def _unseen_of_the_pool(folder: Path) -> dict[str, list[Path]]:
    """The 1,178 validation photos of the shipped version's data set, which it was not trained on."""
    share = float(str(Store(ROOT / "models").open(SHIPPED).manifest.lineage.config["validation_share"]))
    found: dict[str, list[Path]] = {"cat": [], "dog": []}
    for shard in sorted((SHARED_DATA / "pool").glob("*.zip")):
        with ZipFile(shard) as archive:
            for name in archive.namelist():
                label = name.split("/")[0]
                content = b"" if name.endswith("/") else archive.read(name)
                if content and by_content(sha256(content).hexdigest(), ("train", "validation"), 0, share) != "train":
                    path = folder / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                    found[label].append(path)
    return found


def _trials(sets: int, folder: Path, observer: Observer) -> Iterator[Trial]:
    data_dir, store = folder / "data", Store(folder / "models")
    shutil.copytree(ROOT / "models" / str(SHIPPED), store.root / str(SHIPPED))
    pool_held, pool = held_out_of(_unseen_of_the_pool(folder / "pool"), HELD_OUT // 2)
    known = {name: sorted((SHARED_DATA / "cats_and_dogs" / "train" / name).iterdir()) for name in pool}
    every = {name: sorted((SHARED_DATA / "cat_breeds").glob(f"*/{name}/*")) for name in BREEDS}
    breeds_held, breeds = held_out_of(every, HELD_OUT // len(BREEDS))
    of_breeds = Store(folder / "breeds")
    shutil.copytree(ROOT / "models" / str(SHIPPED), of_breeds.root / str(SHIPPED))
    first = drawn(breeds, 150, False, np.random.default_rng(0), folder / "first")
    train(Request(Config(backbone="champion"), first, command="", promote="always"), of_breeds, data_dir, observer)
    for number in range(sets):
        random = np.random.default_rng(number)
        size = round(float(np.exp(random.uniform(np.log(FEWEST), np.log(MOST)))))
        brings = bool(random.random() < 0.5) and size >= 4 * TESTED
        config = Config(backbone="champion", seed=1 + number)  # seed 0 split the pool
        if number in FINE_TUNED:
            size, brings = FINE_TUNED[number]
            config = replace(config, strategy="finetune", stages=(Stage(224, 2, 16),))
        of_three = number % 3 == 2
        photos = breeds if of_three else known if number % 6 == 4 else pool
        data = drawn(photos, size, brings, random, folder / f"set-{number}")
        held, place = (breeds_held, of_breeds) if of_three else (pool_held, store)
        yield tried(config, data, size, held, place, data_dir, observer)


def main() -> None:
    """Print a row for each data set, then the numbers of promoted and of significantly worse versions."""
    if not all((SHARED_DATA / name).is_dir() for name in ("pool", "cat_breeds", "cats_and_dogs")):
        sys.exit(f"python -m benchmarks.experiments.promotions needs the photos in {SHARED_DATA}")
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    print("| | photos | classes | strategy | tested on | left out | decision | wrong of 300 | unknown of 300 |")
    print("|---:|---|---:|---|---:|---:|---|---|---|", flush=True)
    trials = []
    with TemporaryDirectory(prefix="catdog-promotions-") as folder:
        for number, trial in enumerate(_trials(sets, Path(folder), Quiet()), start=1):
            trials.append(trial)
            print(trial.row(number), flush=True)
    promoted = [trial for trial in trials if trial.promoted]
    worse, all_worse = (sum(trial.is_worse for trial in some) for some in (promoted, trials))
    print(f"\n{len(promoted)} of {len(trials)} versions were promoted, {worse} of them significantly worse.")
    print(f"Of all {len(trials)} versions {all_worse} are significantly worse.")
    sys.exit(any(trial.is_worse for trial in promoted))


if __name__ == "__main__":
    main()
