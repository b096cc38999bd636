"""Fixtures of the tests of `catdog`."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.listing import Listing
from catdog.images import FINGERPRINT
from catdog.system.location import Remote
from catdog.versions.manifest import Dataset, Decision, Golden, Lineage, Manifest, Rule, WeightsFile
from catdog.versions.measurements import Histogram, Metrics, Neither, Unknown
from catdog.versions.store import Store, Version

METRICS = Metrics(
    photos=1000,
    accuracy=0.981,
    accuracy_low=0.9705,
    accuracy_high=0.9878,
    log_loss=0.061,
    calibration_error=0.009,
    precision={"cat": 0.978, "dog": 0.984},
    recall={"cat": 0.984, "dog": 0.978},
    data="the validation split of 3,000 photos",
)
LINEAGE = Lineage(
    command="python -m training train --data photos",
    recipe=None,
    strategy="head",
    backbone="champion",
    parent=1,
    dataset=Dataset(fingerprint="b" * 64, photos={"train": {"cat": 1000, "dog": 1000}}),
    seed=0,
    seconds=12.5,
    hardware="2 cores",
    libraries={"numpy": "2.4.0"},
    notes="Größe egal",
    job="7d1f",
)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """A manifest with every field filled in."""
    return Manifest(
        version=1,
        created=datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC),
        classes=("cat", "dog"),
        width=1 / 32,
        head="pooled",
        preprocessing=FINGERPRINT,
        weights=WeightsFile(sha256="a" * 64, bytes=1234, dtype="float16"),
        temperature=1.3,
        metrics={"validation": METRICS},
        lineage=LINEAGE,
        decision=Decision(
            promote=False,
            reason="kept out: log-loss 0.081 against 0.061",
            champion=1,
            photos=1000,
            rules=(
                Rule(
                    name="log-loss",
                    passed=False,
                    candidate=0.081,
                    champion=0.061,
                    sentence="log-loss 0.081 against 0.061",
                ),
            ),
        ),
        golden=Golden(pictures="c" * 64, probabilities=((0.25, 0.75), (1.0, 0.0))),
        unknown=Unknown(
            usual_length=3.1,
            threshold=0.6,
            photos=1000,
            kept=0.95,
            neither=Neither(photos=250, told=0.6, data="the test photos", kept=0.97, auroc=0.95),
        ),
        histograms={"familiarity": Histogram(edges=(0.9, 1.1), photos=(300, 400, 300))},
    )


@pytest.fixture(scope="session")
def publish(manifest: Manifest) -> Callable[[Store], Version]:
    """Publish a version with placeholder files: the store doesn't read them."""

    def publish(store: Store) -> Version:
        with store.draft() as draft:
            draft.weights_path.write_bytes(os.urandom(1000))
            (draft.path / "report").mkdir()
            (draft.path / "report" / "history.csv").write_text("epoch,loss\n")
            file = WeightsFile.of(draft.weights_path, "float32")
            return draft.publish(lambda number: manifest.model_copy(update={"version": number, "weights": file}))

    return publish


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Remote:
    """A place without a store: a folder, unless the test is run with `BOTH`."""
    if getattr(request, "param", "folder") == "folder":
        return tmp_path / "models"
    return Remote(f"{request.getfixturevalue('bucket').url}/{tmp_path.name}", tmp_path / "models")


@pytest.fixture
def store(root: Path | Remote) -> Store:
    """A store that doesn't exist yet."""
    return Store(root)


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory: pytest.TempPathFactory, publish: Callable[[Store], Version]) -> Path:
    root = tmp_path_factory.mktemp("models")
    for _ in range(4):
        publish(Store(root))
    return root


@pytest.fixture
def filled(store: Store, four_versions: Path) -> Store:
    """A store that holds the versions 1 to 4; 1 is the champion, as it is when shipped."""
    if not store.place.is_remote:
        shutil.copytree(four_versions, store.root)
        return store
    for number in range(1, 5):
        with store.draft() as draft, store.unchanged():
            shutil.copytree(four_versions / str(number), draft.path, dirs_exist_ok=True)
            store.place.add(draft.path, number)
    return store


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    """Empty data sets."""
    return Datasets(database, tmp_path / "data")


@pytest.fixture
def listing(database: Database) -> Listing:
    return Listing(database)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test may write an HDF5 file."""
    return tmp_path / "some.h5"
