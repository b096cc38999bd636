"""Data sets of the service as training data, and folders imported into them."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from catdog import images
from catdog.datasets import folders
from catdog.datasets.datasets import Datasets
from catdog.datasets.layout import Layout, printable, split_of
from catdog.datasets.picture_files import Added, New
from catdog.datasets.picture_place import Stored
from catdog.errors import DatasetError, UnsupportedImage
from catdog.names import NEITHER, checked_dataset_name
from catdog.splits import SPLITS, Dealt, deal
from training.data.dataset import Photo

Splits = dict[str, tuple[Photo, ...]]


class Imported(NamedTuple):
    """The result of an import: the pictures, the files left out with reasons, and class folders without a picture.

    `renamed` maps class names in the folder to the data set's existing spelling of them.
    """

    added: list[Added]
    skipped: dict[Path, str]
    empty: list[Path]
    renamed: dict[str, str]


def photos(datasets: Datasets, name: str) -> tuple[tuple[str, ...], Splits]:
    """The classes of a stored data set, sorted, and its photos by split, without those of no class; DatasetNotFound."""
    return _in_splits(
        (one.label, one.split, datasets.file(one.sha256), one.sha256, one.name or one.sha256[:12])
        for one in datasets.pictures(name)
        if one.label != NEITHER
    )


def photos_of_neither(datasets: Datasets, name: str) -> tuple[Photo, ...]:
    """The photos of a stored data set that users called none of its classes; DatasetNotFound."""
    return tuple(
        Photo(datasets.file(one.sha256), -1, one.sha256, one.name or one.sha256[:12])
        for one in datasets.pictures(name)
        if one.label == NEITHER
    )


def of_folder(root: Path, layout: Layout) -> tuple[tuple[str, ...], Splits]:
    """The same for the folder that `layout` was read from, even if `training.data.dataset` would refuse to train on it.

    Empty class folders are classes as well.
    """
    hashed = [
        (root / place, said, sha256((root / place).read_bytes()).hexdigest()) for place, said in layout.pictures.items()
    ]
    dealt = deal(Dealt(digest, said.label, said.split) for _, said, digest in hashed)
    return _in_splits(
        ((said.label, said.split or dealt[digest], file, digest, file.name) for file, said, digest in hashed),
        (printable(place.name) for place in layout.without_files if not split_of(place.name)),
    )


def _in_splits(
    rows: Iterable[tuple[str, str, Stored, str, str]], empty: Iterable[str] = ()
) -> tuple[tuple[str, ...], Splits]:
    """Group rows of (label, split, path, sha256, name); `empty` are further classes. An empty test split is omitted."""
    rows = list(rows)
    classes = tuple(sorted({label for label, *_ in rows} | set(empty)))
    splits: dict[str, list[Photo]] = {split: [] for split in SPLITS}
    for label, split, path, digest, name in rows:
        splits[split].append(Photo(path, classes.index(label), digest, name))
    return classes, {split: tuple(part) for split, part in splits.items() if part or split != "test"}


def import_folder(root: Path, datasets: Datasets, name: str) -> Imported:
    """Copy the photos of a folder into a data set, all or nothing; DatasetError if their classes are unclear."""
    checked_dataset_name(name)
    layout = folders.read(root)
    skipped = {root / place: reason for place, reason in layout.skipped.items()}
    with datasets.incoming() as folder:
        new: list[New] = []
        for place, said in layout.pictures.items():
            file = root / place
            try:
                images.identify(file.read_bytes())
            except UnsupportedImage as error:
                skipped[file] = str(error)
            else:
                new.append(New(Path(copyfile(file, folder / str(len(new)))), file.name, said.label, said.split))
        if not new:
            raise DatasetError(f"{root} contains no picture that can be imported: {next(iter(skipped.values()))}")
        added = datasets.add(name, new, "import")
    labels = {one.label: stored.picture.label for one, stored in zip(new, added, strict=True)}
    renamed = {label: stored for label, stored in labels.items() if label != stored}
    return Imported(added, skipped, [root / place for place in layout.empty], renamed)
