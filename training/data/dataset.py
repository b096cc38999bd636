"""A data set for training: splits of labelled photos, read from folders.

DIR/<class>/*                            split by content: a share each for validation and test, the rest trains,
                                         of every class one photo at least
DIR/{train,validation[,test]}/<class>/*  as it stands
DIR/{train[,test]}/<class>/*             a share of train, by content, becomes validation
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
from catdog.errors import CatdogError, DatasetError, FileLeftOut
from catdog.names import folded, refuse_reserved
from catdog.splits import SPLITS, Dealt, deal, spared
from catdog.versions.manifest import Lineage, Manifest


@dataclass(frozen=True)
class Photo:
    """A file; `label` is the class's place in `Dataset.classes`, `name` what people call the file."""

    path: Path
    label: int
    sha256: str
    name: str


Report = Callable[[Photo, CatdogError], None]  # is told of a photo that can't be read, and why


@dataclass(frozen=True)
class Dataset:
    """Labelled photos in splits; `classes` are sorted by name. Validation and test may be empty.

    Raises DatasetError unless there are two classes or more, and each can be trained on.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Photo, ...]]

    def __post_init__(self) -> None:
        for name in self.classes:  # a data set may be older than the rule
            refuse_reserved(name)
        if len(self.classes) < 2:
            known = ", ".join(self.classes) or "none"
            raise DatasetError(f"a classifier needs two or more classes, and the photos have: {known}")
        missing = set(range(len(self.classes))) - {photo.label for photo in self.splits["train"]}
        if missing:
            names = ", ".join(self.classes[label] for label in sorted(missing))
            raise DatasetError(f"there is no photo of {names} to train on that can be read; add some")

    def with_only(self, readable: Mapping[str, tuple[Photo, ...]]) -> "Dataset":
        """The same, with the `readable` photos alone in the splits named there."""
        return replace(self, splits={**self.splits, **readable})

    def without(self, left_out: Sequence[str]) -> "Dataset":
        """The same, without the photos whose sha256 begins with one of these."""
        kept = {
            split: tuple(p for p in photos if not p.sha256.startswith(tuple(left_out)))
            for split, photos in self.splits.items()
        }
        return self.with_only(kept)

    def suited_to(self, strategy: str, seed: int) -> "Dataset":
        """The same; without photos to validate with some to train on do, unless a head is; DatasetError without any."""
        if self.splits["validation"] or strategy == "head":
            return self
        train = self.splits["train"]
        if not (moved := spared([Dealt(photo.sha256, photo.label) for photo in train], seed)):
            raise DatasetError("one photo of each class leaves none to validate with; add some, or use --strategy head")
        kept, validation = (tuple(p for p in train if (p.sha256 in moved) is is_moved) for is_moved in (False, True))
        return self.with_only({"train": kept, "validation": validation})

    @property
    def fingerprint(self) -> str:
        """sha256 of what is in the set: which content is in which split under which class."""
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
    """The photos below `root`, hashed but not decoded yet; `report` is told of files that were left out.

    Raises DatasetError where `root` is no such folder, has fewer than two classes, or a class has no file.
    """
    layout = folders.read(root)
    report_left_out(root, layout.skipped, report)
    classes = layout.classes
    if layout.without_files:
        raise DatasetError(f"{root / layout.without_files[0]} holds no photo; add some, or remove the folder")
    if len(classes) < 2:
        raise DatasetError(
            f"{root} holds {len(classes)} class folder{'s' * (len(classes) != 1)} ({', '.join(classes)}) with photos;"
            f" a classifier needs two or more, one folder a class{first_left_out(layout.skipped)}"
        )
    places = {name: place for place, name in enumerate(classes)}
    return Dataset(classes, _splits(_photos(root, layout, places), seed, share))


def read_as(lineage: Lineage, root: Path, report: Report | None = None) -> Dataset:
    """The photos below `root` as `read` gives them for a training with this lineage."""
    share, left_out = _chosen(lineage)
    return read(root, lineage.seed, share, report).without(left_out)


def _chosen(lineage: Lineage) -> tuple[float, Sequence[str]]:
    """The share of the photos that became validation, and the photos that were left out."""
    share, left_out = lineage.config.get("validation_share", 0.1), lineage.config.get("left_out", [])
    return float(str(share)), [str(photo) for photo in left_out] if isinstance(left_out, list) else []


def read_split(root: Path, classes: Sequence[str], split: str | None = None) -> tuple[Photo, ...]:
    """The photos of one split below `root`, labelled as in `classes`; all of them where `root` has no splits.

    `split` None is test where there is one, else validation. DatasetError where there are photos of other classes.
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
    """The photos below `root` to measure a version on, and which they are.

    Of plain class folders that the version was trained on, only the split that was kept from it. `renamed` has the
    version's class for the name of a folder. Raises DatasetError.
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
    with suppress(DatasetError):  # too few photos can't be those that it was trained on
        share, left_out = _chosen(lineage)
        same = Dataset(manifest.classes, _splits(photos, seed, share)).without(left_out)
        same = same.suited_to(lineage.strategy, seed)
        return same if same.fingerprint == lineage.dataset.fingerprint else None
    return None


def report_left_out(root: Path, skipped: Mapping[PurePosixPath, str], report: Report | None) -> None:
    """Tell of each file that is no photo in a class folder."""
    if report is not None:
        for place, reason in skipped.items():
            report(Photo(root / place, -1, "", printable(place.name)), FileLeftOut(reason))


def _asked_split(root: Path, layout: Layout, split: str | None) -> str | None:
    """The split to be measured on, None for all photos where there are no splits."""
    there = {place.split for place in layout.pictures.values()}
    if split and split not in there:
        raise DatasetError(f"{root} has no folder {split}")
    found = next((name for name in ([split] if split else ["test", "validation"]) if name in there), None)
    if layout.has_splits and not found:
        raise DatasetError(f"{root} has photos to train on alone; measure on them with --split train")
    return found


def _places(root: Path, layout: Layout, classes: Sequence[str], renamed: Mapping[str, str]) -> dict[str, int]:
    """The place in `classes` of each label in `layout`; upper and lower case is no difference."""
    known = {folded(name): place for place, name in reversed(list(enumerate(classes)))}
    asked = {folded(name): folded(meant) for name, meant in renamed.items()}
    labels = {folded(label): label for label in layout.classes}
    there = f"{root} has folders of {', '.join(layout.classes)}, and the model has the classes {', '.join(classes)}"
    if wrong := [name for name in renamed if folded(name) not in labels or asked[folded(name)] not in known]:
        raise DatasetError(f"{wrong[0]}={renamed[wrong[0]]} maps nothing: {there}")
    places = {label: known.get(asked.get(key, key)) for key, label in labels.items()}
    if unknown := [label for label, place in places.items() if place is None]:
        maps = " ".join(f"--map {shlex.quote(f'{label}={_nearest(label, classes)}')}" for label in unknown)
        raise DatasetError(f"{there}; say which folder holds photos of which class: {maps}")
    return {label: place for label, place in places.items() if place is not None}


def _nearest(label: str, classes: Sequence[str]) -> str:
    """The class that is spelt most like the label, CLASS where none is."""
    spelt = {folded(name): name for name in classes}
    return next((spelt[name] for name in get_close_matches(folded(label), spelt, 1)), "CLASS")


def _photos(
    root: Path, layout: Layout, places: Mapping[str, int], splits: Collection[str | None] | None = None
) -> dict[str | None, tuple[Photo, ...]]:
    """The photos by split, None for those in no split; in the order of their labels and paths."""
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
    """Photos as their folders have it; those in no split, or a share of train for validation, by content."""
    if None in photos:
        splits = _split(photos[None], SPLITS, seed, share)
        return {split: part for split, part in splits.items() if part or split != "test"}
    given = {split: photos[split] for split in SPLITS if split in photos}
    if "validation" not in given:
        given |= _split(given.get("train", ()), ("train", "validation"), seed, share)
    return {"train": (), **given}


def _split(photos: Iterable[Photo], splits: Sequence[str], seed: int, share: float) -> dict[str, tuple[Photo, ...]]:
    """`splits[0]` takes what the others, with `share` each, leave, and of every class one photo at least."""
    photos = tuple(photos)
    dealt = deal((Dealt(photo.sha256, photo.label) for photo in photos), splits, seed, share)
    parts: dict[str, list[Photo]] = {split: [] for split in splits}
    for photo in photos:
        parts[dealt[photo.sha256]].append(photo)
    return {split: tuple(part) for split, part in parts.items()}


def labels(photos: Sequence[Photo]) -> NDArray[np.int64]:
    """The labels of `photos`, (n,)."""
    return np.array([photo.label for photo in photos], np.int64)
