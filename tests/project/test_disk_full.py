"""On a full disk writes are refused, acknowledged data stays, and predictions continue."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.store import Store
from tests.app.service import ADMIN, Service, encoded, publish, serving
from tests.app.web.test_problem_details import check
from tests.jobs import Place
from tests.photos import draw_set
from tests.waiting import until

MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs to mount a small file system, which takes root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, encoding="utf-8", check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def serving_on(data_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A service with its store elsewhere that stores no predicted photos."""
    publish(tmp_path / "models")
    with serving(tmp_path / "models", data_dir=data_dir, worker="none", keep_uploads=100) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


def picture(seed: int) -> bytes:
    """About 600 kB of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (450, 450, 3), np.uint8)
    return encoded(Image.fromarray(noise), "PNG")


def test_an_upload_that_does_not_fit_is_refused_and_the_others_stay(small_disk: Path, tmp_path: Path) -> None:
    with serving_on(small_disk / "data", tmp_path) as service:
        stored = []
        for seed in range(30):
            answer = service.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": picture(seed)})
            if not answer.is_success:
                break
            stored.append(answer.json()["results"][0]["picture"]["sha256"])

        check(answer, "insufficient-storage", 507)
        assert len(stored) > 5
        for _ in range(3):
            prediction = service.client.post("/predict", files={"file": picture(99)})
            assert prediction.is_success, "though its photo can't be kept"
        assert service.client.get("/datasets/pets").json()["pictures"] == len(stored)
        kept = {path.name: path for path in (small_disk / "data" / "pictures").glob("??/*")}
        assert set(kept) == set(stored)
        assert {path.read_bytes() for path in kept.values()} == {picture(seed) for seed in range(len(stored))}
        assert list((small_disk / "data" / "pictures").glob(".incoming-*")) == []

        assert service.client.delete(f"/datasets/pets/images/{stored[0]}").status_code == 204
        again = service.client.post("/datasets/pets/images", data={"label": "cat"}, files={"file": b"tiny"})
        assert again.json()["results"][0]["problem"]["status"] == 415, "there is room again"


@pytest.mark.parametrize("as_form", [True, False])
def test_an_archive_that_does_not_fit_leaves_nothing(small_disk: Path, tmp_path: Path, as_form: bool) -> None:
    zipped = BytesIO()
    with ZipFile(zipped, "w") as archive:
        for seed in range(9):
            archive.writestr(f"cat/{seed}.png", picture(seed))

    with serving_on(small_disk / "data", tmp_path) as service:
        if as_form:
            answer = service.client.post("/datasets/pets/archive", files={"file": zipped.getvalue()})
        else:
            kind = {"Content-Type": "application/zip"}
            answer = service.client.post("/datasets/pets/archive", content=zipped.getvalue(), headers=kind)

        check(answer, "insufficient-storage", 507)
        assert service.client.get("/datasets").json() == {"datasets": []}
        left = [path.name for path in (small_disk / "data" / "pictures").rglob("*") if path.is_file()]
        assert sorted(left) == [".database", ".lock"]


def test_a_version_that_does_not_fit_fails_its_job_and_leaves_the_store_as_it_was(
    small_disk: Path, tmp_path: Path
) -> None:
    photos = draw_set(tmp_path / "photos", 40)
    place = Place(tmp_path / "place", Database.of(tmp_path / "place"))
    place.store = Store(small_disk / "models")
    place.learn(photos)
    place.collect(photos, "pets")
    before = sorted(path.name for path in place.store.root.iterdir())
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 20_000))

    job = place.run(dataset="pets", strategy="head", promote="auto")

    assert job.status is Status.FAILED
    assert "No space left on device" in (job.reason or "")
    assert sorted(path.name for path in place.store.root.iterdir()) == before
    assert place.store.champion() == 1

    filler.unlink()
    assert place.run(dataset="pets", strategy="head", promote="auto").version == 2


def test_a_database_without_room_is_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    jobs = Jobs(Database.of(small_disk))
    jobs.submit({"notes": ""})
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))

    with pytest.raises(OSError, match="the database's disk is full"):
        jobs.submit({"notes": "x" * MIB})

    (small_disk / "filler").unlink()
    assert len(jobs.newest(10)) == 1
    assert Datasets(Database.of(small_disk), tmp_path).names() == ()
