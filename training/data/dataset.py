"""A data set for training: splits of labelled photos, read from folders.

DIR/<class>/*                            split by content: a share each for validation and test, the rest for train,
                                         at least one photo of every class
DIR/{train,validation[,test]}/<class>/*  the splits as given
DIR/{train[,test]}/<class>/*             a share of train, chosen by content, becomes validation
"""

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from catdog.datasets import folders
from catdog.datasets.layout import Layout, first_left_out, printable
from catdog.datasets.picture_place import Stored
from catdog.errors import CatdogError, DatasetError, FileLeftOut
from catdog.names import folded, refuse_reserved
from catdog.splits import SPLITS, Dealt, deal, spared
from catdog.versions.manifest import Lineage, Manifest


@dataclass(frozen=True)
class Photo:
    """A file or an object; `label` is the index of its class in `Dataset.classes`, `name` the file name to show."""

    path: Stored
    label: int
    sha256: str
    name: str


Report = Callable[[Photo, CatdogError], None]  # called with each photo that can't be read, and the error


@dataclass(frozen=True)
class Dataset:
    """Labelled photos in splits; `classes` are sorted by name. Validation and test may be empty.

    Raises DatasetError unless there are at least two classes, each with a training photo.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Photo, ...]]

    def __post_init__(self) -> None:
        for name in self.classes:  # a data set may be older than this rule
            refuse_reserved(name)
        if len(self.classes) < 2:
            known = ", ".join(self.classes) or "none"
            raise DatasetError(f"a classifier needs at least two classes, but the photos have: {known}")
        missing = set(range(len(self.classes))) - {photo.label for photo in self.splits["train"]}
        if missing:
            names = ", ".join(self.classes[label] for label in sorted(missing))
            raise DatasetError(f"there is no readable training photo of {names}; add some")

    def with_only(self, readable: Mapping[str, tuple[Photo, ...]]) -> "Dataset":
        """A copy with only the `readable` photos in the splits named there."""
        return replace(self, splits={**self.splits, **readable})

    def without(self, left_out: Sequence[str]) -> "Dataset":
        """A copy without the photos whose sha256 begins with one of these."""
        kept = {
            split: tuple(p for p in photos if not p.sha256.startswith(tuple(left_out)))
            for split, photos in self.splits.items()
        }
        return self.with_only(kept)

    def suited_to(self, strategy: str, seed: int) -> "Dataset":
        """A copy with validation photos, taken from train if there are none and the strategy needs them.

        Raises DatasetError if train has none to spare. The strategy "head" needs none.
        """
        if self.splits["validation"] or strategy == "head":
            return self
        train = self.splits["train"]
        if not (moved := spared([Dealt(photo.sha256, photo.label) for photo in train], seed)):
            raise DatasetError(
                "with one photo of each class there are none for validation; add some, or use --strategy head"
            )
        kept, validation = (tuple(p for p in train if (p.sha256 in moved) is is_moved) for is_moved in (False, True))
        return self.with_only({"train": kept, "validation": validation})

    @property
    def fingerprint(self) -> str:
        """sha256 over the split, class and content of every photo."""
        lines = sorted(
            f"{split} {self.classes[p.label]} {p.sha256}" for split in self.splits for p in self.splits[split]
        )
        return sha256("\n".join(lines).encode()).hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos per split and class."""
        return {
            split: {name: sum(p.label == label for p in photos) for label, name in enumerate(self.classes)}
            for split, photos in self.splits.items()
        }


def read(root: Path, seed: int = 0, share: float = 0.1, report: Report | None = None) -> Dataset:
    """The photos below `root`, hashed but not decoded; `report` is called with each file that was left out.

    Raises DatasetError if `root` isn't such a folder, has fewer than two classes, or a class has no file.
    """
    layout = folders.read(root)
    report_left_out(root, layout.skipped, report)
    classes = layout.classes
    if layout.without_files:
        raise DatasetError(f"{root / layout.without_files[0]} contains no photo; add some, or remove the folder")
    if len(classes) < 2:
        raise DatasetError(
            f"{root} has {len(classes)} class folder{'s' * (len(classes) != 1)} ({', '.join(classes)}) with photos;"
            f" a classifier needs at least two, one folder per class{first_left_out(layout.skipped)}"
        )
    places = {name: place for place, name in enumerate(classes)}
    return Dataset(classes, _splits(_photos(root, layout, places), seed, share))


def read_as(lineage: Lineage, root: Path, report: Report | None = None) -> Dataset:
    """The photos below `root`, split as for a training with this lineage."""
    share, left_out = _chosen(lineage)
    return read(root, lineage.seed, share, report).without(left_out)


def _chosen(lineage: Lineage) -> tuple[float, Sequence[str]]:
    """The validation share, and the photos that were left out."""
    share, left_out = lineage.config.get("validation_share", 0.1), lineage.config.get("left_out", [])
    return float(str(share)), [str(photo) for photo in left_out] if isinstance(left_out, list) else []


def read_split(root: Path, classes: Sequence[str], split: str | None = None) -> tuple[Photo, ...]:
    """The photos of one split below `root`, labelled as in `classes`; all photos if `root` has no splits.

    `split` None selects test if it exists, else validation. DatasetError if there are photos of other classes.
    """
    layout = folders.read(root)
    asked = _asked_split(root, layout, split)
    return _photos(root, layout, _places(root, layout, classes, {}), (asked,))[asked]


def read_for(
    root: Path,
    manifest: Manifest,
    split: str | None = None,
    report: Report | None = None,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> tuple[tuple[Photo, ...], str]:
    """The photos below `root` to evaluate a version on, and a description of them.

    If these are class folders without splits that the version was trained on, only the held-out split is returned.
    `renamed` maps folder names to the version's classes. Raises DatasetError.
    """
    layout = folders.read(root)
    report_left_out(root, layout.skipped, report)
    places = _places(root, layout, manifest.classes, renamed)
    if layout.has_splits:
        asked = _asked_split(root, layout, split)
        return _photos(root, layout, places, (asked,))[asked], printable(str(root))
    photos, shown = _photos(root, layout, places), printable(str(root))
    if (same := _trained_on(photos, manifest)) is not None:
        kept = split or next((name for name in ("test", "validation") if same.splits.get(name)), "test")
        if not same.splits.get(kept):
            raise DatasetError(f"the version was trained on {shown}, which has no {kept} photos; pass other photos")
        return same.splits[kept], f"the {kept} photos of {shown}, split by content"
    _asked_split(root, layout, split)
    return photos[None], shown


def _trained_on(photos: Mapping[str | None, tuple[Photo, ...]], manifest: Manifest) -> Dataset | None:
    """These photos in the splits that the version had them in, None if it was trained on others."""
    lineage, seed = manifest.lineage, manifest.lineage.seed
    with suppress(DatasetError):  # too few photos: not those that it was trained on
        share, left_out = _chosen(lineage)
        same = Dataset(manifest.classes, _splits(photos, seed, share)).without(left_out)
        same = same.suited_to(lineage.strategy, seed)
        return same if same.fingerprint == lineage.dataset.fingerprint else None
    return None


def report_left_out(root: Path, skipped: Mapping[PurePosixPath, str], report: Report | None) -> None:
    """Report each file that is not a photo in a class folder."""
    if report is not None:
        for place, reason in skipped.items():
            report(Photo(root / place, -1, "", printable(place.name)), FileLeftOut(reason))


def _asked_split(root: Path, layout: Layout, split: str | None) -> str | None:
    """The split to evaluate on, None for all photos if there are no splits."""
    there = {place.split for place in layout.pictures.values()}
    if split and split not in there:
        raise DatasetError(f"{root} has no folder {split}")
    found = next((name for name in ([split] if split else ["test", "validation"]) if name in there), None)
    if layout.has_splits and not found:
        raise DatasetError(f"{root} has only training photos; evaluate on them with --split train")
    return found


def _places(root: Path, layout: Layout, classes: Sequence[str], renamed: Mapping[str, str]) -> dict[str, int]:
    """The index in `classes` of each label in `layout`, ignoring case."""
    known = {folded(name): place for place, name in reversed(list(enumerate(classes)))}
    asked = {folded(name): folded(meant) for name, meant in renamed.items()}
    labels = {folded(label): label for label in layout.classes}
    there = f"{root} has folders of {', '.join(layout.classes)}, but the model has the classes {', '.join(classes)}"
    if wrong := [name for name in renamed if folded(name) not in labels or asked[folded(name)] not in known]:
        raise DatasetError(f"{wrong[0]}={renamed[wrong[0]]} maps nothing: {there}")
    places = {label: known.get(asked.get(key, key)) for key, label in labels.items()}
    if unknown := [label for label, place in places.items() if place is None]:
        maps = " ".join(f"--map {shlex.quote(f'{label}={_nearest(label, classes)}')}" for label in unknown)
        raise DatasetError(f"{there}; map the folders to classes: {maps}")
    return {label: place for label, place in places.items() if place is not None}


def _nearest(label: str, classes: Sequence[str]) -> str:
    """The class with the most similar spelling, "CLASS" if there is none."""
    spelt = {folded(name): name for name in classes}
    return next((spelt[name] for name in get_close_matches(folded(label), spelt, 1)), "CLASS")


def _photos(
    root: Path, layout: Layout, places: Mapping[str, int], splits: Collection[str | None] | None = None
) -> dict[str | None, tuple[Photo, ...]]:
    """The photos by split, None for those without a split; ordered by label and path."""
    files = sorted(
        (places[said.label], place, said.split)
        for place, said in layout.pictures.items()
        if splits is None or said.split in splits
    )
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(lambda file: sha256((root / file[1]).read_bytes()).hexdigest(), files)
        photos: dict[str | None, list[Photo]] = {}
        for (label, place, split), digest in zip(files, hashes, strict=True):
            photos.setdefault(split, []).append(Photo(root / place, label, digest, place.name))
    return {split: tuple(part) for split, part in photos.items()}


def _splits(photos: Mapping[str | None, tuple[Photo, ...]], seed: int, share: float) -> dict[str, tuple[Photo, ...]]:
    """The splits from the folders. Photos without a split, and a missing validation split, are split by content."""
    if None in photos:
        splits = _split(photos[None], SPLITS, seed, share)
        return {split: part for split, part in splits.items() if part or split != "test"}
    given = {split: photos[split] for split in SPLITS if split in photos}
    if "validation" not in given:
        given |= _split(given.get("train", ()), ("train", "validation"), seed, share)
    return {"train": (), **given}


def _split(photos: Iterable[Photo], splits: Sequence[str], seed: int, share: float) -> dict[str, tuple[Photo, ...]]:
    """Split by content: `share` for each split but the first, which gets the rest and at least one photo per class."""
    photos = tuple(photos)
    dealt = deal((Dealt(photo.sha256, photo.label) for photo in photos), splits, seed, share)
    parts: dict[str, list[Photo]] = {split: [] for split in splits}
    for photo in photos:
        parts[dealt[photo.sha256]].append(photo)
    return {split: tuple(part) for split, part in parts.items()}


def labels(photos: Sequence[Photo]) -> NDArray[np.int64]:
    """The labels of `photos`, (n,)."""
    return np.array([photo.label for photo in photos], np.int64)
