"""`catdog classify` on photos in emulators of Google's and Microsoft's object stores, by gcsfs and adlfs.

The environment with these and with an emulator of Google's store is made by the test. Azurite, Microsoft's emulator,
has to be installed: `npm install -g azurite`.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.harness.environments import interpreter
from benchmarks.harness.processes import BenchmarkError, free_port
from tests.command.classify.tables import rows
from tests.command.running import Catdog
from tests.places import ROOT
from tests.waiting import until

NAMES = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3)]
AZURITE = "azurite-blob"
# The account that every Azurite has, whose key Microsoft publishes.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FILL = """
import sys
import fsspec
store = fsspec.filesystem(sys.argv[1])
store.mkdir("pets")
store.put(sys.argv[2] + "/", "pets/", recursive=True)
"""

pytestmark = pytest.mark.whole


@dataclass(frozen=True)
class Cloud:
    """A running store with the bucket `pets`: six photos, a broken one and a text; and the Python that reaches it."""

    scheme: str
    variables: dict[str, str]
    python: Path

    def url(self, place: str) -> str:
        return f"{self.scheme}://{place}"


@contextmanager
def running(command: Sequence[str | Path], port: int, folder: Path) -> Iterator[None]:
    """A server, once it accepts connections on the port."""

    def accepts() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        assert process.poll() is None, (folder / "log").read_text()
        return False

    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until(accepts, every=0.1)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return interpreter(".venv-clouds", ROOT / "tests" / "clients" / "clouds.txt", ROOT)
    except BenchmarkError as error:
        pytest.skip(f"gcsfs and adlfs can't be installed: {error}")


@pytest.fixture(scope="module", params=["gs", "az"])
def cloud(
    request: pytest.FixtureRequest, python: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    scheme, port = str(request.param), free_port()
    server, variables = of_google(python, port) if scheme == "gs" else of_microsoft(port)
    folder = tmp_path_factory.mktemp(scheme)
    for name in NAMES:
        (folder / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / name, folder / "pets" / name)
    (folder / "pets" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "pets" / "cat" / "readme.txt").write_text("no photo")
    with running(server, port, folder):
        subprocess.run([python, "-c", FILL, scheme, folder / "pets"], env=os.environ | variables, check=True)
        yield Cloud(scheme, variables, python)


def of_google(python: Path, port: int) -> tuple[list[str | Path], dict[str, str]]:
    """The command of the server, and the variables with which gcsfs finds it."""
    server = python.with_name("gcp-storage-emulator")
    address = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}
    return [server, "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"], address


def of_microsoft(port: int) -> tuple[list[str | Path], dict[str, str]]:
    """The same of Azurite and adlfs."""
    if (server := shutil.which(AZURITE)) is None:
        pytest.skip("Azurite isn't installed: npm install -g azurite")
    options = ["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    account = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    connection = {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{account}"}
    return [server, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options], connection


@pytest.fixture
def catdog(tmp_path: Path, models_dir: Path, cloud: Cloud) -> Catdog:
    """The command in that environment, which finds the server."""
    catdog = Catdog(tmp_path, models_dir, (str(cloud.python), "-m", "command"))
    catdog.environment |= {"PYTHONPATH": str(ROOT), **cloud.variables}
    return catdog


def test_a_bucket_is_classified_like_a_folder(
    catdog: Catdog, cloud: Cloud, photos: Path, models_dir: Path, tmp_path: Path
) -> None:
    done = catdog.run("classify", cloud.url("pets"), "--to", "result.jsonl", "--sort-into", "sorted")
    here = Catdog(tmp_path, models_dir)
    here.run("classify", *(photos / name for name in NAMES), "--to", "local.jsonl")

    found = {row["path"]: row for row in rows(tmp_path / "result.jsonl")}
    assert list(found) == [cloud.url("pets/broken.jpg"), *(cloud.url(f"pets/{name}") for name in NAMES)]
    assert found[cloud.url("pets/broken.jpg")]["error"].startswith("the JPEG is broken")
    for name, row in zip(NAMES, rows(tmp_path / "local.jsonl"), strict=True):
        assert found[cloud.url(f"pets/{name}")]["cat"] == pytest.approx(row["cat"], abs=1e-6)
    assert len([path for path in (tmp_path / "sorted").rglob("*.png") if path.is_file()]) == len(NAMES)
    assert done.stderr == "1 files in folders and archives are no photos\n"


def test_an_object_a_pattern_and_what_is_not_there_are_sources(catdog: Catdog, cloud: Cloud) -> None:
    places = ("pets/dog/1.png", "pets/*/2.png", "pets/none.png", "nowhere")

    done = catdog.run("classify", *map(cloud.url, places), "--to", "result.jsonl")

    found = rows(catdog.folder / "result.jsonl")
    expected = ["pets/dog/1.png", "pets/cat/2.png", "pets/dog/2.png", "pets/none.png", "nowhere"]
    assert [row["path"] for row in found] == [cloud.url(place) for place in expected]
    assert [row["error"] for row in found] == [
        *[None] * 3,
        "it can't be read from its store (there is no such object)",
        "there is no such bucket, or nothing is in it",
    ]
    assert done.stderr == ""
