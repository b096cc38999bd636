"""What must be true of the running containers; started by test_containers.py, in this order, not by itself."""

import json
import os
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.containers.service import Service, address, answers, container, docker, inside, inspected
from tests.photos import draw_set
from tests.project.test_readme import DOCKER
from tests.waiting import until

SERVE_BYTES = 450 * 10**6
STORAGE_BYTES = 16 * 10**6  # of the library for object stores
READY_SECONDS = 5.0
STOPS = 20
WRITABLE = ("/srv/catdog/data", "/srv/catdog/models", "/tmp")  # noqa: S108  # in the container

MEMORY_LIMIT = "cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"  # version 2, or 1

# Prints every folder in which a file can be made; the kernel's own have their own rules.
TRIES = """
import os
for folder, _, _ in os.walk("/"):
    if not folder.startswith(("/proc", "/sys", "/dev")):
        try:
            with open(folder + "/.tried", "x"):
                os.remove(folder + "/.tried")
            print(folder)
        except OSError:
            pass
"""


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    service = Service()
    with service.client:
        yield service


@pytest.fixture(scope="session")
def photo() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def pets(service: Service, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A data set of 120 drawn pictures."""
    service.upload("pets", draw_set(tmp_path_factory.mktemp("pets"), 60))


@pytest.fixture(scope="session")
def shell(service: Service) -> dict[str, str]:
    """The environment of a shell in the project's folder."""
    labels = inspected("api")["Config"]["Labels"]
    place = labels["com.docker.compose.project.working_dir"]
    files = labels["com.docker.compose.project.config_files"].replace(",", os.pathsep)
    project = labels["com.docker.compose.project"]
    return {**os.environ, "PWD": place, "COMPOSE_PROJECT_NAME": project, "COMPOSE_FILE": files}


@pytest.mark.parametrize("line", DOCKER)
def test_the_readme_s_lines_work_as_they_stand(line: str, shell: dict[str, str], service: Service) -> None:
    mine = line.replace("http://127.0.0.1:8000", service.url)

    done = subprocess.run(["bash", "-c", mine], cwd=shell["PWD"], env=shell, stdout=subprocess.PIPE, check=False)

    assert done.returncode == 0, done.stdout
    if line.startswith("curl"):
        assert json.loads(done.stdout)["model_version"] == 1


def test_whoever_looks_inside_finds_no_root_and_no_privileges() -> None:
    for name in ("api", "trainer"):
        assert inside(name, "id", "-u") != "0"
        status = inside(name, "cat", "/proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status


def test_the_api_can_write_nowhere_but_its_volumes_and_temporary_files() -> None:
    written = inside("api", "python", "-c", TRIES).splitlines()

    assert {place for place in WRITABLE if place in written} == set(WRITABLE)
    assert [place for place in written if not place.startswith(WRITABLE)] == []


def test_limits_of_memory_and_cores_are_honoured() -> None:
    limits = inspected("api")["HostConfig"]

    assert limits["Memory"] > 0
    assert limits["NanoCpus"] > 0
    assert inside("api", "sh", "-c", MEMORY_LIMIT) == str(limits["Memory"])
    threads = next(line for line in doctor().splitlines() if line.startswith("threads"))
    assert int(threads.split()[1].rstrip(":")) <= -(-limits["NanoCpus"] // 10**9)


def doctor() -> str:
    return inside("api", "python", "-m", "app", "doctor")


def test_the_doctor_says_what_is_run_and_that_all_is_well() -> None:
    said = doctor()

    assert "FAILED: " not in said
    assert "openvino: " in said
    database = "CATDOG_DATABASE_URL" if os.environ["CATDOG_VERIFIED_PROFILE"] == "postgres" else "SQLite"
    assert f"{database}" in said.partition("database")[2]


def test_the_admin_key_comes_from_a_file_where_the_secrets_say_so(shell: dict[str, str], tmp_path: Path) -> None:
    key = tmp_path / "admin.key"
    key.write_text("a key that stands in a file")
    files = {"COMPOSE_FILE": "docker-compose.yml:docker-compose.secrets.yml", "CATDOG_ADMIN_KEY_FILE": str(key)}
    alone = {"COMPOSE_PROJECT_NAME": "with-secrets", "CATDOG_PUBLISH": "127.0.0.1:0", "CATDOG_MODELS_DIR": ""}
    environment = shell | files | alone

    def compose(*arguments: str) -> str:
        return subprocess.check_output(
            ["docker", "compose", *arguments], cwd=shell["PWD"], env=environment, encoding="utf-8"
        )

    try:
        compose("up", "--detach", "--wait", "--no-build", "--no-deps", "api")
        rollback = f"http://{compose('port', 'api', '8000').strip()}/rollback"
        assert httpx.post(rollback).status_code == 401
        assert httpx.post(rollback, headers={"Authorization": f"Bearer {key.read_text()}"}).status_code == 409
        assert key.read_text() not in docker("inspect", compose("ps", "--quiet", "api").strip())
    finally:
        compose("down", "--volumes")


def test_the_serving_image_is_small_and_soon_ready(tmp_path: Path) -> None:
    library = STORAGE_BYTES if os.environ["CATDOG_VERIFIED_PROFILE"] == "s3" else 0
    assert json.loads(docker("inspect", "catdog:serve"))[0]["Size"] <= SERVE_BYTES + library
    began = monotonic()
    alone = docker("run", "--detach", "--rm", "--publish", "127.0.0.1:0:8000", "catdog:serve")
    try:
        address = docker("port", alone, "8000").splitlines()[0]
        until(lambda: answers(f"http://{address}/health/ready"))
        assert monotonic() - began < READY_SECONDS
    finally:
        docker("rm", "--force", alone)


def test_a_training_asked_for_over_http_puts_a_new_version_into_service(
    service: Service, pets: None, photo: bytes
) -> None:
    job = service.ends(service.retrain(promote="never"))

    assert job["status"] == "succeeded", job
    promoted = service.client.post(f"/models/{job['version']}/promote", headers=service.admin)
    assert promoted.is_success, promoted.text
    assert service.predict(photo).json()["model_version"] == job["version"]


def test_a_restart_keeps_versions_jobs_and_pictures(service: Service) -> None:
    places = ("/models", "/retrain", "/datasets/pets", "/model")
    before = [service.client.get(place).json() for place in places]

    docker("restart", container("api"))
    until(service.is_ready)

    assert [service.client.get(place).json() for place in places] == before


def test_the_small_version_in_the_trainer_s_image_goes_into_service_and_back(service: Service) -> None:
    before = service.client.get("/model").json()["version"]

    said = inside("trainer", "python", "-m", "training", "promote", "slim.zip")

    number = int(said.removeprefix("version ").removesuffix(" is in service"))
    until(lambda: service.client.get("/model").json()["version"] == number)
    inside("trainer", "python", "-m", "training", "rollback")
    until(lambda: service.client.get("/model").json()["version"] == before)


def test_a_job_whose_trainer_is_killed_is_run_again_and_ends(service: Service, tmp_path: Path) -> None:
    service.upload("strays", draw_set(tmp_path, 60, first=500))  # unknown photos, which take seconds
    job = service.retrain("strays", promote="never")
    service.becomes(job, "running")

    docker("kill", container("trainer"))
    docker("start", container("trainer"))

    ended = service.ends(job)
    assert ended["status"] == "succeeded", ended
    assert ended["attempt"] == 2


def test_a_trainer_that_is_stopped_puts_its_job_back(service: Service, pets: None) -> None:
    job = service.retrain(strategy="finetune", epochs=5, promote="never")
    service.becomes(job, "running")

    docker("stop", "--time", "20", container("trainer"))

    assert inspected("trainer")["State"]["ExitCode"] == 0
    assert service.job(job)["status"] == "queued"
    service.client.delete(f"/retrain/{job}", headers=service.admin)
    docker("start", container("trainer"))
    assert service.ends(job)["status"] == "cancelled"


class Asking:
    """Clients that send requests without a pause until the service isn't ready, as behind a load balancer.

    They run from enter to exit, and connect to the container itself, because the engine's proxy accepts connections
    even if the container doesn't.
    """

    def __init__(self, photo: bytes, clients: int = 4) -> None:
        self._url = f"http://{address('api')}:8000"
        self._photo = photo
        self._over = Event()
        self._threads = [Thread(target=self._watch), *(Thread(target=self._ask) for _ in range(clients))]
        self.readiness: set[int] = set()
        self.answered = 0
        self.broken: list[str] = []

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        with self._client() as client:
            while not self._over.is_set():
                try:
                    self.readiness.add(client.get("/health/ready").status_code)
                except httpx.TransportError:
                    return

    def _ask(self) -> None:
        with self._client() as client:
            while not self._over.is_set() and 503 not in self.readiness:
                try:
                    answer = client.post("/predict", content=self._photo, headers={"Content-Type": "image/png"})
                except httpx.TransportError as error:
                    self.broken.append(repr(error))
                else:
                    self._count(answer)

    def _client(self) -> httpx.Client:
        """A new connection for each request."""
        return httpx.Client(base_url=self._url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))

    def _count(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            self.answered += 1
        else:
            self.broken.append(answer.text)


def test_it_stops_within_its_time_under_load_as_often_as_one_likes(service: Service, photo: bytes) -> None:
    for _ in range(STOPS):
        until(service.is_ready)
        with Asking(photo) as asking:
            until(lambda: asking.answered > 8)  # of this round
            began = monotonic()
            docker("stop", "--time", "20", container("api"))
            took = monotonic() - began

        assert inspected("api")["State"]["ExitCode"] == 0
        assert took < 15
        assert 503 in asking.readiness, "it said so before the end"
        assert asking.broken == []
        docker("start", container("api"))
    until(service.is_ready)
