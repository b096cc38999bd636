"""Pictures are added to data sets once, under one spelling of their class, and removed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.datasets.errors import DatasetNotFound, PictureNotFound
from catdog.datasets.picture_files import Added, New
from catdog.tables import pictures


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


def path(datasets: Datasets, sha256: str) -> Path:
    """The file of a picture in a folder."""
    file = datasets.file(sha256)
    assert isinstance(file, Path)
    return file


def files(root: Path) -> list[str]:
    """The files in the pictures' folder, except its lock and its mark."""
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name not in (".lock", ".database"))


def test_a_picture_is_kept_as_it_came(datasets: Datasets) -> None:
    ((picture, is_new),) = add(datasets, b"a cat")

    assert is_new
    assert picture.sha256 == sha256(b"a cat").hexdigest()
    assert path(datasets, picture.sha256).read_bytes() == b"a cat"
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
    assert path(datasets, picture.sha256).exists()
    with pytest.raises(DatasetNotFound, match=r"there is no data set pets \(there are: others\)"):
        datasets.pictures("pets")

    datasets.remove("others", picture.sha256)
    assert not path(datasets, picture.sha256).exists()
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
        assert path(mine, digest).read_bytes() == b"a cat"
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
