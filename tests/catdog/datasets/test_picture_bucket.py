"""Pictures in a bucket are as safe as in a folder, while machines race and while the bucket is away."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import update

from catdog.database import Database
from catdog.datasets import picture_bucket
from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import PictureNotFound
from catdog.datasets.export import zipped
from catdog.datasets.picture_bucket import PictureBucket
from catdog.errors import DatasetError, StoreUnavailable
from catdog.system import failpoints
from catdog.system.object_store import Objects
from catdog.tables import removals
from tests.catdog.datasets.test_datasets import add
from tests.object_store import Bucket
from tests.waiting import until

CAT = sha256(b"a cat").hexdigest()

Machine = Callable[[str], Datasets]


@pytest.fixture
def url(bucket: Bucket, tmp_path: Path) -> str:
    return f"{bucket.url}/{tmp_path.name}/pictures"


@pytest.fixture
def objects(url: str) -> Objects:
    return Objects(url)


@pytest.fixture
def machine(
    url: str, open_database: Callable[[], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """The same data sets, as the machine of this name has them."""
    monkeypatch.setattr(picture_bucket, "SPARED_SECONDS", 0.0)
    made: dict[str, Datasets] = {}

    def of(name: str) -> Datasets:
        if name not in made:
            made[name] = Datasets(open_database(), tmp_path / name, url)
            made[name].place = PictureBucket(url)  # each with its own
        return made[name]

    return of


def names(objects: Objects) -> set[str]:
    return {name for name, _ in objects.names("")}


def test_a_picture_lies_under_its_sha256_and_other_machines_read_it(machine: Machine, objects: Objects) -> None:
    ((picture, _),) = add(machine("a"), b"a cat")

    assert names(objects) == {f"{CAT[:2]}/{CAT}", ".database"}
    assert machine("b").read("pets", picture.sha256) == b"a cat"
    assert str(machine("b").file(CAT)).endswith(f"/pictures/{CAT[:2]}/{CAT}")


def test_machines_that_add_and_remove_the_same_picture_at_once_lose_none(machine: Machine) -> None:
    """Whoever adds a picture has it, though others remove it all the time."""

    def is_added(to: str) -> bool:
        try:
            add(machine(to), b"a cat", to=to)
        except StoreUnavailable:  # answered 503, after which clients repeat the request
            return False
        return True

    def churn(name: str) -> None:
        for _ in range(10):
            until(lambda: is_added(name))
            assert machine(name).read(name, CAT) == b"a cat"
            machine(name).remove(name, CAT)
        until(lambda: is_added(name))

    names = [f"machine-{number}" for number in range(4)]
    for name in names:
        machine(name)
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(churn, names))

    assert [machine("new").read(name, CAT) for name in names] == [b"a cat"] * len(names)


def test_a_picture_that_is_removed_before_its_row_is_written_is_placed_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machine("a"), machine("b")
    add(there, b"a cat", to="others")
    place = here.place.place

    def removed_after(*arguments: Any) -> int:
        monkeypatch.undo()
        placed = place(*arguments)
        there.remove("others", CAT)
        return placed

    monkeypatch.setattr(here.place, "place", removed_after)
    add(here, b"a cat")

    assert here.read("pets", CAT) == b"a cat"


def test_what_may_still_be_removed_cannot_be_added_yet(
    machine: Machine, bucket: Bucket, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hung carries the request out when it goes on."""
    here = machine("a")
    add(here, b"a cat")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "delete", _hang)
        with pytest.raises(StoreUnavailable):
            here.remove("pets", CAT)
    with pytest.raises(StoreUnavailable) as caught:
        add(machine("b"), b"a cat")
    assert "is being removed" in caught.value.reason

    with database.writing() as connection:
        connection.execute(update(removals).values(at=removals.c.at - picture_bucket.HELD_SECONDS))
    add(machine("b"), b"a cat")
    assert here.read("pets", CAT) == b"a cat"


def test_without_the_bucket_nothing_changes_and_later_everything_is_there(
    machine: Machine, bucket: Bucket, objects: Objects
) -> None:
    here = machine("a")
    add(here, b"a cat")
    with bucket.away():
        for step in (
            lambda: add(here, b"a dog"),
            lambda: here.read("pets", CAT),
            lambda: here.remove("pets", CAT),
            lambda: here.remove_everywhere(CAT),
        ):
            with pytest.raises(StoreUnavailable):
                step()
        assert [picture.sha256 for picture in here.pictures("pets")] == [CAT], "labels need no bucket"
        here.changes.make("pets", "label", "kitten")

    assert add(here, b"a dog")[0].is_new, "a request that was refused can be repeated at once"
    here.remove("pets", sha256(b"a dog").hexdigest())
    assert here.read("pets", CAT) == b"a cat"
    assert here.remove_everywhere(CAT) == ["pets"]
    assert names(objects) == {".database"}
    with pytest.raises(PictureNotFound):
        here.read("pets", CAT)


def test_a_request_to_remove_that_failed_half_way_can_be_repeated(
    machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("a")
    add(here, b"a cat")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "delete", _hang)
        with pytest.raises(StoreUnavailable):
            here.remove_everywhere(CAT)

    here.remove_everywhere(CAT)

    assert names(objects) == {".database"}


KILLED = """
import sys
from pathlib import Path
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import New

datasets = Datasets(Database(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
with datasets.incoming() as folder:
    (folder / "0").write_bytes(b"a cat")
    ((picture, _),) = datasets.add("pets", [New(folder / "0", "", "cat")], "upload")
datasets.remove("pets", picture.sha256)
"""


@pytest.mark.parametrize(("place", "kept"), [("pictures.placed", 0), ("pictures.added", 1), ("picture.unlabelled", 0)])
def test_a_killed_process_leaves_a_row_with_its_picture_or_neither_after_a_sweep(
    machine: Machine,
    database_url: str,
    url: str,
    tmp_path: Path,
    objects: Objects,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    kept: int,
) -> None:
    command = [sys.executable, "-c", KILLED, database_url, str(tmp_path / "killed"), url]
    killed = subprocess.run(command, env=os.environ | {failpoints.VARIABLE: place}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert machine("a").sweep() == 0, "a young one may be on its way"
    monkeypatch.setattr(picture_bucket, "YOUNG", timedelta(days=-1))

    assert machine("a").sweep() == 1 - kept

    assert (f"{CAT[:2]}/{CAT}" in names(objects)) == bool(kept)
    assert len(machine("a").pictures("pets") if kept else machine("a").names()) == kept


def test_a_sweep_with_another_database_removes_nothing(
    machine: Machine, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(machine("a"), b"a cat")
    monkeypatch.setattr(picture_bucket, "YOUNG", timedelta(days=-1))
    elsewhere = Datasets(Database.of(tmp_path / "elsewhere"), tmp_path / "elsewhere", url)

    with pytest.raises(DatasetError, match=r"the pictures in s3://\S+ are of another database"):
        elsewhere.sweep()

    assert machine("a").sweep() == 0
    assert machine("a").read("pets", CAT) == b"a cat"


def test_a_damaged_object_is_reported_and_repaired_by_adding_the_picture_again(
    machine: Machine, objects: Objects
) -> None:
    here = machine("a")
    add(here, b"a cat")
    objects.delete([f"{CAT[:2]}/{CAT}"])
    objects.put(f"{CAT[:2]}/{CAT}", b"a dog")
    with pytest.raises(DatasetError, match=f"the picture {CAT} has other bytes in s3://"):
        here.read("pets", CAT)

    add(here, b"a cat")

    assert here.read("pets", CAT) == b"a cat"


def test_an_export_has_the_pictures_of_the_bucket(machine: Machine) -> None:
    here = machine("a")
    add(here, b"a cat", b"another")
    here.place.remove([CAT], Database("sqlite://"))  # as if it was removed during the export

    with ZipFile(BytesIO(b"".join(zipped(here.pictures("pets"), here.file)))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"cat/1.jpg": b"another"}


def _hang(objects: Objects, names: object) -> None:
    raise StoreUnavailable("it hangs")
