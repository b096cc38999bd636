"""Data sets that the service collected, as photos to train on; and folders taken into them."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from shutil import copyfile

from catdog import images
from catdog.datasets import Datasets
from catdog.errors import DatasetError, UnsupportedImage
from catdog.labels import checked_dataset_name, checked_label
from catdog.picture import Added, New
from catdog.splits import SPLITS, by_content
from training.dataset import Photo

Splits = dict[str, tuple[Photo, ...]]


def photos(datasets: Datasets, name: str) -> tuple[tuple[str, ...], Splits]:
    """The classes of a stored data set, sorted, and its photos by split; DatasetNotFound."""
    return _in_splits(
        (one.label, one.split, datasets.path(one.sha256), one.sha256, one.name or one.sha256[:12])
        for one in datasets.pictures(name)
    )


def of_folder(root: Path) -> tuple[tuple[str, ...], Splits]:
    """The same of a folder, which `training.dataset` would perhaps not train on; DatasetError where it is none."""
    hashed = ((file, label, split, sha256(file.read_bytes()).hexdigest()) for file, label, split in _files(root))
    return _in_splits(
        (label, split or by_content(digest), file, digest, file.name) for file, label, split, digest in hashed
    )


def _in_splits(rows: Iterable[tuple[str, str, Path, str, str]]) -> tuple[tuple[str, ...], Splits]:
    """Rows of label, split, path, sha256 and name; a test split without a photo is left out."""
    rows = list(rows)
    classes = tuple(sorted({label for label, *_ in rows}))
    splits: dict[str, list[Photo]] = {split: [] for split in SPLITS}
    for label, split, path, digest, name in rows:
        splits[split].append(Photo(path, classes.index(label), digest, name))
    return classes, {split: tuple(part) for split, part in splits.items() if part or split != "test"}


def import_folder(root: Path, datasets: Datasets, name: str) -> tuple[list[Added], list[tuple[Path, str]]]:
    """Copy `root`/<class>/* or `root`/{train,validation,test}/<class>/* into a data set, all or nothing.

    Returns what was added, and the files that were left out with the reasons. Raises DatasetError.
    """
    checked_dataset_name(name)
    skipped: list[tuple[Path, str]] = []
    with datasets.incoming() as folder:
        new: list[New] = []
        for file, label, split in _files(root):
            try:
                images.identify(file.read_bytes())
            except UnsupportedImage as error:
                skipped.append((file, str(error)))
            else:
                new.append(New(Path(copyfile(file, folder / str(len(new)))), file.name, label, split))
        if not new:
            raise DatasetError(f"{root} holds no photo in folders of classes; put them into {root}/<class>/")
        return datasets.add(name, new, "import"), skipped


def _files(root: Path) -> Iterator[tuple[Path, str, str | None]]:
    """Every file in a class's folder, with the class and the split, where the folders say which."""
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; pass one that holds <class>/photo.jpg")
    given = [split for split in SPLITS if (root / split).is_dir()]
    places: list[str | None] = [*given] or [None]
    for split in places:
        for folder in _visible(root / split if split else root):
            if folder.is_dir():
                label = checked_label(folder.name)
                yield from ((file, label, split) for file in _visible(folder) if file.is_file())


def _visible(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
