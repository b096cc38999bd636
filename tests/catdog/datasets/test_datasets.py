import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import DatasetNotFound, PictureNotFound
from catdog.datasets.picture_files import Added, New
from catdog.errors import DatasetError
from catdog.splits import by_content
from catdog.system import failpoints
from catdog.tables import pictures
from tests.waiting import until


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    return Datasets(database, tmp_path / "data")


def add(
    datasets: Datasets, *contents: bytes, to: str = "pets", label: str = "cat", split: str | None = None
) -> list[Added]:
    with datasets.incoming() as folder:
        new = []
        for number, content in enumerate(contents):
            (folder / str(number)).write_bytes(content)
            new.append(New(folder / str(number), f"{number}.jpg", label, split))
        return datasets.add(to, new, "upload")


def correct(datasets: Datasets, content: bytes, label: str) -> None:
    with datasets.incoming() as folder:
        (folder / "photo").write_bytes(content)
        datasets.add("pets", [New(folder / "photo", "photo", label)], "feedback", correcting=True)


def files(root: Path) -> list[str]:
    """The files in the pictures' folder, except its lock and its mark."""
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name not in (".lock", ".database"))


def test_a_picture_is_kept_as_it_came(datasets: Datasets) -> None:
    ((picture, is_new),) = add(datasets, b"a cat")

    assert is_new
    assert picture.sha256 == sha256(b"a cat").hexdigest()
    assert datasets.path(picture.sha256).read_bytes() == b"a cat"
    assert datasets.pictures("pets") == [picture]
    assert (picture.name, picture.label, picture.source) == ("0.jpg", "cat", "upload")
    assert datasets.names() == ("pets",)


def test_a_picture_that_comes_again_is_kept_once(datasets: Datasets, tmp_path: Path) -> None:
    add(datasets, b"a cat")

    assert [is_new for _, is_new in add(datasets, b"a cat", b"another", b"another")] == [False, True, False]
    assert len(datasets.pictures("pets")) == 2
    assert len(files(tmp_path / "data" / "pictures")) == 2


def test_a_picture_may_have_two_labels_and_two_sets(datasets: Datasets, tmp_path: Path) -> None:
    for to, label in (("pets", "cat"), ("pets", "dog"), ("others", "cat")):
        add(datasets, b"a cat?", to=to, label=label)

    assert [picture.label for picture in datasets.pictures("pets")] == ["cat", "dog"]
    assert len(files(tmp_path / "data" / "pictures")) == 1


def held_out(number: int) -> list[bytes]:
    """Contents that are drawn into validation or test."""
    contents = (b"photo %d" % count for count in range(1_000))
    return [content for content in contents if by_content(sha256(content).hexdigest()) != "train"][:number]


def splits(datasets: Datasets) -> dict[str, str]:
    return {picture.sha256: picture.split for picture in datasets.pictures("pets")}


def test_the_first_picture_of_a_class_trains_and_stays_as_the_class_grows(datasets: Datasets) -> None:
    first, *others = held_out(20)

    ((picture, _),) = add(datasets, first)
    add(datasets, *(b"%d" % number for number in range(20)))
    for other in others:
        add(datasets, other)

    assert picture.split == "train"
    found = splits(datasets)
    assert found.pop(picture.sha256) == "train"
    assert found == {sha256: by_content(sha256) for sha256 in found}


def test_a_picture_that_trains_by_necessity_is_there_once_however_often_it_comes(datasets: Datasets) -> None:
    (first,) = held_out(1)

    added = [add(datasets, first)[0] for _ in range(2)]

    assert [is_new for _, is_new in added] == [True, False]
    assert [picture.split for picture, _ in added] == ["train", "train"]
    assert len(datasets.pictures("pets")) == 1


def test_every_class_of_many_added_at_once_has_a_training_picture(datasets: Datasets) -> None:
    contents = held_out(12)
    with datasets.incoming() as folder:
        new = []
        for number, content in enumerate(contents):
            (folder / str(number)).write_bytes(content)
            new.append(New(folder / str(number), "", f"class {number // 3}"))
        added = datasets.add("pets", new, "archive")

    assert datasets.pictures("pets") == [picture for picture, _ in added]
    for label in {one.label for one in new}:
        assert sum(one.split == "train" for one, _ in added if one.label == label) == 1


def test_the_same_content_under_two_labels_is_in_one_split(datasets: Datasets) -> None:
    first, second = held_out(2)
    add(datasets, first, label="cat")
    add(datasets, second, label="dog", split="test")

    add(datasets, first, label="dog")
    add(datasets, second, label="cat")

    found: dict[str, set[str]] = {}
    for picture in datasets.pictures("pets"):
        found.setdefault(picture.sha256, set()).add(picture.split)
    assert found == {sha256(first).hexdigest(): {"train"}, sha256(second).hexdigest(): {"test"}}


def test_a_class_whose_last_training_picture_goes_keeps_another(datasets: Datasets) -> None:
    first, second, third = held_out(3)
    add(datasets, first, second)
    add(datasets, third, label="dog")
    gone = next(picture for picture in datasets.pictures("pets") if picture.split == "train")

    datasets.remove("pets", gone.sha256)
    add(datasets, b"3", b"4", b"5")

    (kept,) = {sha256(content).hexdigest() for content in (first, second)} - {gone.sha256}
    assert splits(datasets)[kept] == "train"

    correct(datasets, first if kept == sha256(first).hexdigest() else second, "dog")
    assert any(picture.split == "train" for picture in datasets.pictures("pets") if picture.label == "cat")


def test_a_picture_that_a_person_chose_to_test_with_is_never_trained_on(datasets: Datasets) -> None:
    add(datasets, b"a cat", split="test")

    assert set(splits(datasets).values()) == {"test"}


def test_a_label_in_another_case_is_stored_as_the_one_that_is_there(datasets: Datasets) -> None:
    add(datasets, b"a cat", label="cat")

    ((picture, _),) = add(datasets, b"another", label="Cat")
    add(datasets, b"a third", label="CAT", to="others")

    assert picture.label == "cat"
    assert {picture.label for picture in datasets.pictures("pets")} == {"cat"}
    assert {picture.label for picture in datasets.pictures("others")} == {"CAT"}


def test_labels_that_come_at_the_same_time_in_several_cases_become_one(
    open_database: Callable[[], Database], tmp_path: Path
) -> None:
    spellings = ("cat", "Cat", "CAT", "cAt")
    several = [Datasets(open_database(), tmp_path / "data") for _ in spellings]

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one, label: add(one, label.encode(), label=label), several, spellings))

    assert len({picture.label for picture in several[0].pictures("pets")}) == 1
    assert len(several[0].pictures("pets")) == len(spellings)


def test_labels_that_an_earlier_catdog_took_stay_as_they_are(datasets: Datasets, database: Database) -> None:
    added = add(datasets, b"a cat", b"a dog", b"another")
    for (picture, _), label in zip(added, ("🐱", "Dog", "dog"), strict=True):
        with database.writing() as connection:
            change = update(pictures).where(pictures.c.sha256 == picture.sha256)
            connection.execute(change.values(label=label))

    assert [picture.label for picture in datasets.pictures("pets")] == ["🐱", "Dog", "dog"]
    assert [add(datasets, b"new", label=label)[0].picture.label for label in ("dog", "DOG", "Dog")] == [
        "dog",
        "Dog",
        "Dog",
    ]


def test_a_label_may_be_as_long_as_its_rule_says(datasets: Datasets) -> None:
    ((picture, _),) = add(datasets, b"a cat", label="猫" * 100)

    assert picture.label == "猫" * 100


def test_a_picture_stays_in_its_split_as_the_set_grows(datasets: Datasets) -> None:
    first = {added.picture.sha256: added.picture.split for added in add(datasets, *(b"%d" % n for n in range(200)))}
    add(datasets, *(b"%d" % n for n in range(200, 400)))

    after = {picture.sha256: picture.split for picture in datasets.pictures("pets")}

    assert first.items() <= after.items()
    assert all(split == by_content(digest) for digest, split in after.items())
    shares = [list(after.values()).count(split) / 400 for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.05)


def test_a_split_that_somebody_chose_is_kept(datasets: Datasets) -> None:
    add(datasets, *(b"%d" % n for n in range(20)), split="test")

    assert {picture.split for picture in datasets.pictures("pets")} == {"test"}


def test_feedback_replaces_what_the_picture_was_taken_for(datasets: Datasets) -> None:
    add(datasets, b"a dog", label="cat")
    for label in ("cat", "dog"):
        correct(datasets, b"a dog", label)

    (picture,) = datasets.pictures("pets")
    assert (picture.label, picture.source) == ("dog", "feedback")
    assert datasets.labelled_by_feedback() == {picture.sha256}


def test_a_removed_picture_is_gone_unless_another_set_has_it(datasets: Datasets) -> None:
    ((picture, _),) = add(datasets, b"a cat")
    add(datasets, b"a cat", to="others")

    datasets.remove("pets", picture.sha256)
    assert datasets.path(picture.sha256).exists()
    with pytest.raises(DatasetNotFound, match=r"there is no data set pets \(there are: others\)"):
        datasets.pictures("pets")

    datasets.remove("others", picture.sha256)
    assert not datasets.path(picture.sha256).exists()
    with pytest.raises(PictureNotFound):
        datasets.remove("others", picture.sha256)


def test_what_many_add_and_remove_at_once_is_there_or_not_but_never_half(
    datasets: Datasets, open_database: Callable[[], Database], tmp_path: Path
) -> None:
    digest = sha256(b"a cat").hexdigest()
    others = [Datasets(open_database(), tmp_path / "data") for _ in range(3)]

    def add_and_remove(number: int) -> None:
        mine = others[number % 3]
        add(mine, b"a cat", to=f"set-{number}")
        assert mine.path(digest).read_bytes() == b"a cat"
        mine.remove(f"set-{number}", digest)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add_and_remove, range(24)))

    assert datasets.names() == ()
    assert files(tmp_path / "data" / "pictures") == []


def test_pictures_that_cannot_all_be_taken_leave_nothing(datasets: Datasets, tmp_path: Path) -> None:
    with datasets.incoming() as folder:
        (folder / "0").write_bytes(b"a cat")
        (folder / "1").write_bytes(b"a dog")
        new = [New(folder / "0", "", "cat"), New(folder / "1", None, "cat")]  # type: ignore[arg-type]
        with pytest.raises(IntegrityError):
            datasets.add("pets", new, "upload")

    assert datasets.names() == ()
    assert files(tmp_path / "data" / "pictures") == []


def test_files_are_on_the_disk_before_the_transaction_that_names_them(
    datasets: Datasets, database: Database, tmp_path: Path
) -> None:
    """So other processes can write while the disk is slow."""
    placed = datasets.path(sha256(b"a cat").hexdigest())
    with ThreadPoolExecutor(1) as pool:
        with database.writing():
            adding = pool.submit(add, datasets, b"a cat")
            until(placed.exists)
        adding.result()

    assert len(datasets.pictures("pets")) == 1
    assert files(tmp_path / "data" / "pictures") == [placed.name]


def test_a_file_that_is_removed_before_its_row_is_written_comes_back(datasets: Datasets, database: Database) -> None:
    """This happens if the same content is removed from another data set, or a sweep finds it without a row."""
    placed = datasets.path(sha256(b"a cat").hexdigest())
    with ThreadPoolExecutor(1) as pool:
        with database.writing():
            adding = pool.submit(add, datasets, b"a cat")
            until(placed.exists)
            placed.unlink()
        adding.result()

    assert placed.read_bytes() == b"a cat"


def test_a_file_system_without_hard_links_keeps_pictures_as_well(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", no_links)
    ((picture, _),) = add(datasets, b"a cat")

    assert datasets.read("pets", picture.sha256) == b"a cat"
    assert files(tmp_path / "data" / "pictures") == [picture.sha256]


KILLED = """
import sys
from pathlib import Path
from catdog.database import Database
from catdog.tables import pictures
from catdog.datasets.datasets import Datasets
from catdog.datasets.picture_files import New

datasets = Datasets(Database(sys.argv[1]), Path(sys.argv[2]))
with datasets.incoming() as folder:
    (folder / "0").write_bytes(b"a cat")
    ((picture, _),) = datasets.add("pets", [New(folder / "0", "", "cat")], "upload")
datasets.remove("pets", picture.sha256)
"""


@pytest.mark.parametrize(
    ("place", "kept"), [("pictures.placed", False), ("pictures.added", True), ("picture.unlabelled", False)]
)
def test_a_process_killed_between_a_row_and_its_file_leaves_both_or_neither_after_a_sweep(
    datasets: Datasets, database_url: str, tmp_path: Path, place: str, kept: bool
) -> None:
    assert place in failpoints.OF_PICTURES
    command = [sys.executable, "-c", KILLED, database_url, str(tmp_path / "data")]
    killed = subprocess.run(command, env=os.environ | {failpoints.VARIABLE: place}, check=False)
    assert killed.returncode == -signal.SIGKILL
    digest = sha256(b"a cat").hexdigest()
    assert datasets.path(digest).exists()

    datasets.sweep()

    assert files(tmp_path / "data" / "pictures") == ([digest] if kept else [])
    assert list((tmp_path / "data" / "pictures").glob(".incoming-*")) == []
    assert [picture.sha256 for name in datasets.names() for picture in datasets.pictures(name)] == [digest] * kept


def test_a_sweep_removes_files_without_a_row_and_nothing_else(datasets: Datasets, tmp_path: Path) -> None:
    contents = [b"%d" % number for number in range(300)]
    add(datasets, *contents)
    left = {sha256(b"left %d" % number).hexdigest() for number in range(20)}
    for digest in left:
        datasets.path(digest).parent.mkdir(exist_ok=True)
        datasets.path(digest).write_bytes(b"")

    with datasets.incoming() as mine:
        assert datasets.sweep() == 20
        assert mine.exists(), "what is on its way stays"

    assert files(tmp_path / "data" / "pictures") == sorted(sha256(content).hexdigest() for content in contents)


def test_a_sweep_with_another_database_removes_nothing(datasets: Datasets, tmp_path: Path) -> None:
    """This happens if the service is started once without its CATDOG_DATABASE_URL."""
    ((picture, _),) = add(datasets, b"a cat")
    elsewhere = Datasets(Database.of(tmp_path / "elsewhere"), tmp_path / "data")

    with pytest.raises(DatasetError, match="are of another database than the one in use: set CATDOG_DATABASE_URL"):
        elsewhere.sweep()
    add(elsewhere, b"a dog")
    with pytest.raises(DatasetError):
        elsewhere.sweep()

    assert datasets.sweep() == 1, "the dog"
    assert datasets.read("pets", picture.sha256) == b"a cat"


@pytest.mark.parametrize("is_known", [True, False])
def test_pictures_from_before_there_were_marks_are_of_the_database_that_names_one(
    datasets: Datasets, tmp_path: Path, is_known: bool
) -> None:
    add(datasets, b"a cat")
    (tmp_path / "data" / "pictures" / ".database").unlink()
    mine = datasets if is_known else Datasets(Database.of(tmp_path / "elsewhere"), tmp_path / "data")

    with nullcontext() if is_known else pytest.raises(DatasetError):
        mine.sweep()

    assert len(files(tmp_path / "data" / "pictures")) == 1
    assert (tmp_path / "data" / "pictures" / ".database").exists() == is_known


def test_what_a_killed_process_was_gathering_is_removed(datasets: Datasets, tmp_path: Path) -> None:
    add(datasets, b"a cat")
    root = tmp_path / "data" / "pictures"
    (root / ".incoming-0" / "content").mkdir(parents=True)
    (root / ".incoming-0" / "content" / "0").write_bytes(b"half a pict")

    with datasets.incoming() as mine:
        assert not (root / ".incoming-0").exists()
        with datasets.incoming():
            assert mine.exists(), "but what others gather now stays"
