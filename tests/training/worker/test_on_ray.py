"""`CATDOG_WORKER=ray`: trainings of a service on a Ray cluster of three nodes, which it installs: `make test-ray`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.harness import ray_cluster
from benchmarks.harness.processes import python, running
from benchmarks.harness.ray_cluster import Cluster
from catdog.database import Database
from catdog.jobs.job import Job, Status
from tests.app.service import ADMIN, ADMIN_KEY
from tests.jobs import Place
from tests.photos import draw_set
from tests.waiting import until
from training.data import service_datasets
from training.data.features import FeatureExtractor

PHOTOS = 1_000  # of each class: enough for a node to be killed while they are computed
PATIENCE_SECONDS = 300

pytestmark = [pytest.mark.ray, pytest.mark.whole]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_set(tmp_path_factory.mktemp("drawn"), PHOTOS)
    (folder / "cat" / "broken.jpg").write_bytes(next((folder / "cat").glob("*.*")).read_bytes()[:300])
    return folder


@pytest.fixture
def place(tmp_path: Path, learned: Path, drawn: Path) -> Place:
    folder = Path(shutil.copytree(learned, tmp_path / "place"))
    made = Place(folder, Database.of(folder / "data"))
    made.collect(drawn, "pets")
    return made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster.cluster() as found:
        yield found


@contextmanager
def retraining(place: Place, cluster: Cluster, address: str) -> Iterator[str]:
    """A service that trains on the cluster; yields the id of a training."""
    settings = {
        "CATDOG_MODELS_DIR": str(place.data_dir.with_name("models")),
        "CATDOG_DATA_DIR": str(place.data_dir),
        "CATDOG_ADMIN_KEY": ADMIN_KEY,
        "CATDOG_WORKER": "ray",
        "CATDOG_RAY_ADDRESS": address,
        **cluster.variables,
    }
    place.data_dir.mkdir(exist_ok=True)
    with (
        running(python("app", interpreter=cluster.python), settings, place.data_dir) as service,
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}", headers=ADMIN, trust_env=False) as client,
    ):
        service.seconds_until(lambda: is_ready(client))
        answer = client.post("/retrain", json={"dataset": "pets", "strategy": "head", "promote": "never"})
        yield answer.raise_for_status().json()["id"]


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").is_success
    except httpx.TransportError:
        return False


def ended(place: Place, job: str) -> Job:
    until(lambda: place.jobs.get(job).status.is_final, PATIENCE_SECONDS)
    return place.jobs.get(job)


def photos_done(place: Place, job: str) -> int:
    found = place.jobs.get(job)
    assert not found.status.is_final, found.reason
    return found.progress.get("photos_done") or 0


def test_a_training_computes_its_features_on_the_cluster_and_survives_a_killed_node(
    place: Place, cluster: Cluster
) -> None:
    with retraining(place, cluster, cluster.address) as training:
        until(lambda: photos_done(place, training) > 0, PATIENCE_SECONDS)
        cluster.kill_a_node()
        was_done = photos_done(place, training)
        job = ended(place, training)

    assert was_done < 2 * PHOTOS
    assert job.status is Status.SUCCEEDED, job.reason
    unreadable = [finding for finding in job.findings or () if finding["kind"] == "unreadable"]
    assert [photo["name"] for finding in unreadable for photo in finding["photos"]] == ["broken.jpg"]
    assert_features_are_those_of_this_machine(place)


def assert_features_are_those_of_this_machine(place: Place) -> None:
    _, splits = service_datasets.photos(place.datasets, "pets")
    network = place.store.open(place.store.champion()).network()
    photos = splits["test"]
    computed = []

    def extractor(folder: str) -> FeatureExtractor:
        return FeatureExtractor(place.data_dir / folder, lambda *_: None, lambda done, _: computed.append(done))

    there = extractor("features").look(photos, network)
    assert computed == []  # all are kept
    here = extractor("elsewhere").look(photos, network)
    assert len(computed) > 0
    np.testing.assert_allclose(there.output.features, here.output.features, rtol=1e-5)
    np.testing.assert_array_equal(there.thumbnails, here.thumbnails)


def test_a_training_without_its_cluster_fails_with_a_sentence(place: Place, cluster: Cluster) -> None:
    with retraining(place, cluster, "127.0.0.1:9") as training:
        job = ended(place, training)

    assert job.status is Status.FAILED
    assert job.reason is not None
    assert job.reason.startswith("there is no Ray cluster at 127.0.0.1:9 ")
