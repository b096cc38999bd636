"""`catdog classify --ray` on a Ray cluster of three nodes, which it installs: `make test-ray`."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import ray_cluster
from benchmarks.harness.photos import photos as real_photos
from benchmarks.harness.ray_cluster import Cluster
from tests.app.service import serving
from tests.command.classify.tables import rows
from tests.command.running import Catdog
from tests.object_store import fill, s3
from tests.waiting import until

PHOTOS = 2_000  # eight parts, so that many are open when something is killed
PATIENCE_SECONDS = 300

pytestmark = [pytest.mark.ray, pytest.mark.whole]


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    with s3() as variables:
        yield variables


@pytest.fixture
def cluster(store: dict[str, str]) -> Iterator[Cluster]:
    """Three nodes of a core each."""
    with ray_cluster.cluster(variables=store) as found:
        yield found


@pytest.fixture
def catdog(tmp_path: Path, models_dir: Path, cluster: Cluster) -> Catdog:
    catdog = Catdog(tmp_path, models_dir, (str(cluster.python), "-m", "command"))
    catdog.environment |= cluster.variables
    return catdog


@pytest.fixture(scope="module")
def answers(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A folder with PHOTOS photos, each real one many times, and what the service answers, by path."""
    folder = tmp_path_factory.mktemp("photos")
    originals = real_photos()
    for number in range(PHOTOS):
        file = folder / f"{number:05}.jpg"
        if number < len(originals):
            file.write_bytes(originals[number])
        else:
            file.hardlink_to(folder / f"{number % len(originals):05}.jpg")
    with serving(models_dir) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        said = [service.client.post("/predict", files={"file": photo}).json()["probabilities"] for photo in originals]
    names = (folder / f"{number:05}.jpg" for number in range(PHOTOS))
    return folder, {str(name): said[place % len(said)]["cat"] for place, name in enumerate(names)}


def table(folder: Path) -> list[dict[str, Any]]:
    """The rows of all parts, by path."""
    found = [row for part in folder.iterdir() for row in rows(part)]
    return sorted(found, key=lambda row: str(row["path"]))


def assert_answered(folder: Path, expected: dict[str, float]) -> None:
    found = table(folder)
    assert [row["path"] for row in found] == sorted(expected)
    for row in found:
        assert row["cat"] == pytest.approx(expected[row["path"]], abs=1e-6)


def test_a_killed_node_costs_no_row_and_doubles_none(
    catdog: Catdog, cluster: Cluster, answers: tuple[Path, dict[str, float]]
) -> None:
    photos, expected = answers
    result = catdog.folder / "result.parquet"
    with catdog.start("classify", photos, "--to", result.name, "--ray", cluster.address, "--json") as process:
        until(lambda: has_parts(result, process), PATIENCE_SECONDS)
        cluster.kill_a_node()
        stdout, stderr = process.communicate()

    assert process.returncode == 0, stderr
    assert f'"rows": {PHOTOS}, "errors": 0' in stdout
    assert_answered(result, expected)


def test_a_killed_command_continues(catdog: Catdog, cluster: Cluster, answers: tuple[Path, dict[str, float]]) -> None:
    photos, expected = answers
    result = catdog.folder / "result.csv"
    done = catdog.folder / "result.csv.journal" / "rows"
    words = ("classify", photos, "--to", result.name, "--ray", cluster.address)
    with catdog.start(*words) as process:
        until(lambda: has_parts(done, process), PATIENCE_SECONDS)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    first = {part.name for part in result.iterdir()}

    catdog.run(*words)

    assert_answered(result, expected)
    assert first & {part.name for part in result.iterdir()}  # some parts weren't done again
    assert not (catdog.folder / "result.csv.journal").exists()


def test_a_bucket_is_classified_and_what_cannot_be_read_has_its_row(
    catdog: Catdog, cluster: Cluster, store: dict[str, str], answers: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    photos, expected = answers
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for name in ("00000.jpg", "00001.jpg"):
        (bucket / name).write_bytes((photos / name).read_bytes())
    (bucket / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    fill(store, "pets", bucket)

    words = ("classify", "s3://pets", "-", "--to", "result.parquet", "--ray", cluster.address)
    catdog.run(*words, given="missing.jpg\ns3://pets/00000.jpg\n")

    found = table(catdog.folder / "result.parquet")
    names = ("00000.jpg", "00001.jpg", "broken.jpg")
    assert [row["path"] for row in found] == ["missing.jpg", *(f"s3://pets/{name}" for name in names)]
    assert found[0]["error"] == "No such file or directory"
    for row, name in zip(found[1:3], names, strict=False):
        assert row["cat"] == pytest.approx(expected[str(photos / name)], abs=1e-6)
    assert found[3]["error"].startswith("the JPEG is broken")


def test_what_a_cluster_cannot_do_is_refused_in_a_sentence(
    catdog: Catdog, cluster: Cluster, answers: tuple[Path, dict[str, float]]
) -> None:
    photos, _ = answers

    def refused(*words: str | Path, status: int = 1, **variables: str) -> str:
        return catdog.run("classify", photos, *words, status=status, **variables).stderr

    on = ("--ray", cluster.address)
    assert "set RAY_AUTH_MODE=token" in refused("--to", "result.csv", *on, RAY_AUTH_MODE="disabled")
    assert "--ray writes a folder" in refused("--to", "result.jsonl", *on)
    assert "don't work with --ray" in refused("--to", "result.csv", "--sort-into", "sorted", *on, status=2)
    assert "there is no Ray cluster at 127.0.0.1:9 " in refused("--to", "result.csv", "--ray", "127.0.0.1:9")
    (catdog.folder / "result.csv.journal").mkdir(exist_ok=True)
    assert "was begun with --ray" in refused("--to", "result.csv")


def has_parts(folder: Path, process: subprocess.Popen[str]) -> bool:
    """Whether a part is written, or is recorded as done."""
    assert process.poll() is None, process.communicate()
    return folder.is_dir() and any("pending" not in part.name for part in folder.iterdir())
