"""Services whose versions are in a bucket."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.serving import hot_swap
from app.serving.hot_swap import HotSwap
from app.settings import Settings
from catdog.system.location import Remote
from catdog.versions.places import bucket_mirror
from catdog.versions.store import Store
from tests.app.process import running, start
from tests.app.service import ADMIN, Service, publish, serving
from tests.object_store import Bucket
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture
def url(bucket: Bucket, tmp_path: Path) -> str:
    """A store with two versions; the first is in service."""
    url = f"{bucket.url}/{tmp_path.name}"
    for seed in (7, 8):
        publish(Remote(url, tmp_path / "publisher"), seed=seed)
    return url


@pytest.fixture
def replicas(url: str, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    with (
        serving(url, data_dir=tmp_path / "one", worker="none") as one,
        serving(url, data_dir=tmp_path / "two", worker="none") as two,
    ):
        for each in (one, two):
            each.client.headers.update(ADMIN)
            until(lambda each=each: each.client.get("/health/ready").is_success)  # type: ignore[misc]
        yield one, two


def asked(service: Service, jpeg: bytes) -> Any:
    answer = service.client.post("/predict", files={"file": jpeg})
    assert answer.status_code == 200, answer.text
    return answer.json()["model_version"]


def test_a_promotion_reaches_the_other_replicas(replicas: tuple[Service, Service], jpeg: bytes) -> None:
    one, two = replicas
    assert (asked(one, jpeg), asked(two, jpeg)) == (1, 1)

    assert one.client.post("/models/2/promote").status_code == 200

    assert asked(one, jpeg) == 2
    until(lambda: asked(two, jpeg) == 2)


def test_replicas_go_on_while_the_bucket_is_away_and_changes_are_refused(
    replicas: tuple[Service, Service], bucket: Bucket, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = replicas
    monkeypatch.setattr(bucket_mirror, "CHECK_SECONDS", 0.0)

    with bucket.away():
        refused = one.client.post("/models/2/promote")
        deleted = one.client.delete("/models/2")
        assert {asked(each, jpeg) for each in replicas} == {1}
        assert two.client.get("/health/ready").is_success
        assert [each["version"] for each in two.client.get("/models").json()["versions"]] == [2, 1]

    for answer in (refused, deleted):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["type"] == "urn:catdog:problem:store-unavailable"
    assert one.client.post("/models/2/promote").status_code == 200
    until(lambda: asked(two, jpeg) == 2)


def test_a_service_starts_from_its_cache_while_the_bucket_is_away(
    url: str, bucket: Bucket, tmp_path: Path, jpeg: bytes
) -> None:
    with serving(url, data_dir=tmp_path / "one", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)

    with bucket.away(), serving(url, data_dir=tmp_path / "one", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        assert asked(service, jpeg) == 1


def test_a_service_fills_an_empty_bucket_with_the_shipped_version(bucket: Bucket, tmp_path: Path) -> None:
    publish(tmp_path / "models")
    url = f"{bucket.url}/{tmp_path.name}"

    with running(tmp_path, CATDOG_MODELS_DIR=url, CATDOG_WORKER="none") as process:
        assert "serves version 1" in process.line

    Store(Remote(url, tmp_path / "another machine")).open(1).verify()


def test_without_the_library_a_service_says_what_to_install(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError(name='obstore')")
    (tmp_path / "models" / "1").mkdir(parents=True)

    popen = start(tmp_path, CATDOG_MODELS_DIR=bucket.url, PYTHONPATH=f"{tmp_path}:{ROOT}", CATDOG_PORT="0")
    _, said = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 2
    assert "this needs obstore, which isn't installed; install catdog with its extra `storage`" in said


def test_a_folder_needs_no_library_of_object_stores() -> None:
    program = (
        "import sys; import app.processes.assembly, app.serving.hot_swap; from pathlib import Path;"
        "from catdog.versions.store import Store; Store(Path('models')).versions();"
        "print({'obstore', 'catdog.versions.places.bucket'} & sys.modules.keys())"
    )

    said = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, encoding="utf-8")

    assert said == "set()\n"


def test_a_replica_waits_for_its_turn_to_load_unless_it_is_asked_to(
    replicas: tuple[Service, Service], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = replicas
    waited: list[bool] = []
    must_wait = HotSwap._must_wait

    def noted(swap: HotSwap, version: int) -> bool:
        waited.append(must_wait(swap, version))
        return waited[-1]

    monkeypatch.setattr(hot_swap, "SPREAD", 1e9)
    monkeypatch.setattr(HotSwap, "_must_wait", noted)

    assert one.client.post("/models/2/promote").status_code == 200
    until(lambda: True in waited)
    assert asked(two, jpeg) == 1

    assert two.client.post("/v2/repository/models/catdog/load").status_code == 200
    assert asked(two, jpeg) == 2


@pytest.mark.parametrize("value", ["http://there/models", "s3://", "s3:///models", "s3://bucket/models?version=2"])
def test_a_url_that_names_no_bucket_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="write a folder, or a URL such as s3://BUCKET/models"):
        Settings(models_dir=value)


def test_a_url_stays_one_and_the_cache_is_in_the_data_folder() -> None:
    settings = Settings(models_dir="s3://bucket/models/", data_dir=Path("data"))

    assert settings.models_dir == "s3://bucket/models"
    assert isinstance(settings.models, Remote)
    assert settings.models.cache.parent == Path("data")
    assert Settings(models_dir="models").models == Path("models")
