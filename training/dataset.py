"""Folders of photos, read as splits of labelled photos; labels come from the folders' names.

DIR/<class>/*                            split by content: a share each for validation and test, the rest trains
DIR/{train,validation[,test]}/<class>/*  as it stands
DIR/{train[,test]}/<class>/*             a share of train, by content, becomes validation
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catdog import images
from catdog.architecture import INPUT_PIXELS
from catdog.errors import DatasetError, ImageError
from catdog.manifest import Manifest
from catdog.splits import SPLITS, by_content


@dataclass(frozen=True)
class Photo:
    """A file; `label` is the class's place in `Dataset.classes`, `name` what people call the file."""

    path: Path
    label: int
    sha256: str
    name: str


Report = Callable[[Photo, ImageError], None]  # is told of a photo that can't be read, and why


@dataclass(frozen=True)
class Dataset:
    """Labelled photos in splits; `classes` are sorted by name.

    Raises DatasetError unless there are two classes or more, each can be trained on, and there is something to validate
    with.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Photo, ...]]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            known = ", ".join(self.classes) or "none"
            raise DatasetError(f"a classifier needs two or more classes, and the photos have: {known}")
        missing = set(range(len(self.classes))) - {photo.label for photo in self.splits["train"]}
        if missing:
            names = ", ".join(self.classes[label] for label in sorted(missing))
            raise DatasetError(f"there is no photo of {names} to train on; add some")
        if not self.splits["validation"]:
            raise DatasetError("there is no photo to validate with; add more, some 20 of each class at least")

    def with_only(self, readable: Mapping[str, tuple[Photo, ...]]) -> "Dataset":
        """The same, with the `readable` photos alone in the splits named there."""
        return replace(self, splits={**self.splits, **readable})

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


def read(root: Path, seed: int = 0, share: float = 0.1) -> Dataset:
    """The photos below `root`, hashed but not decoded yet.

    Raises DatasetError where `root` is no such folder, has fewer than two classes, or a class has no file.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; pass one that holds <class>/photo.jpg for two or more classes")
    if not (root / "train").is_dir():
        classes = _classes(root)
        splits = _split(_photos(root, classes), SPLITS, seed, share)
        return Dataset(classes, {split: photos for split, photos in splits.items() if photos or split != "test"})
    classes = _classes(root / "train")
    if unknown := sorted(f.name for f in root.iterdir() if f.is_dir() and f.name not in SPLITS and f.name[0] != "."):
        raise DatasetError(f"{root / unknown[0]} is no split; beside train only {' and '.join(SPLITS[1:])} are read")
    splits = {split: _photos(root / split, classes) for split in SPLITS if (root / split).is_dir()}
    if "validation" not in splits:
        splits |= _split(splits["train"], ("train", "validation"), seed, share)
    return Dataset(classes, splits)


def read_split(root: Path, classes: Sequence[str], split: str | None = None) -> tuple[Photo, ...]:
    """The photos of one split below `root`, labelled as in `classes`; all of them where `root` has no splits.

    `split` None is test where there is one, else validation.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; pass one that holds <class>/photo.jpg")
    there = [name for name in ([split] if split else ["test", "validation"]) if (root / name).is_dir()]
    if split and not there:
        raise DatasetError(f"{root} has no folder {split}")
    return _photos(root / there[0] if there else root, classes)


def read_for(root: Path, manifest: Manifest, split: str | None = None) -> tuple[tuple[Photo, ...], str]:
    """The photos below `root` to measure a version on, and which they are.

    Of plain class folders that the version was trained on, only the split that was kept from it.
    """
    if not any((root / name).is_dir() for name in SPLITS) and root.is_dir():
        lineage = manifest.lineage
        same = read(root, lineage.seed, float(str(lineage.config.get("validation_share", 0.1))))
        if same.fingerprint == lineage.dataset.fingerprint:
            kept = split or ("test" if "test" in same.splits else "validation")
            return same.splits[kept], f"the {kept} photos of {root}, split by content"
    return read_split(root, manifest.classes, split), str(root)


def _classes(folder: Path) -> tuple[str, ...]:
    names = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(names) < 2:
        raise DatasetError(
            f"{folder} holds {len(names)} class folder{'s' * (len(names) != 1)} ({', '.join(names) or 'none'});"
            " a classifier needs two or more, one folder a class"
        )
    return tuple(names)


def _photos(folder: Path, classes: Sequence[str]) -> tuple[Photo, ...]:
    surplus = set(_classes(folder)) - set(classes)
    if surplus:
        raise DatasetError(f"{folder} holds classes that train does not: {', '.join(sorted(surplus))}")
    files = []
    for label, name in enumerate(classes):
        found = [path for path in sorted((folder / name).iterdir()) if not path.name.startswith(".")]
        if nested := [path for path in found if path.is_dir()]:
            raise DatasetError(
                f"{nested[0]} is a folder where photos should be; a class's photos stand in its folder itself,"
                f" and splits are named {', '.join(SPLITS)}"
            )
        if not found:
            raise DatasetError(f"{folder / name} holds no photo; add some, or remove the class everywhere")
        files += [(file, label) for file in found]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(lambda file: sha256(file[0].read_bytes()).hexdigest(), files)
        return tuple(Photo(path, label, digest, path.name) for (path, label), digest in zip(files, hashes, strict=True))


def _split(photos: Iterable[Photo], splits: Sequence[str], seed: int, share: float) -> dict[str, tuple[Photo, ...]]:
    """`splits[0]` takes what the others, with `share` each, leave."""
    parts: dict[str, list[Photo]] = {split: [] for split in splits}
    for photo in photos:
        parts[by_content(photo.sha256, splits, seed, share)].append(photo)
    return {split: tuple(part) for split, part in parts.items()}


@dataclass(frozen=True)
class Labelled:
    """Photos, uint8 RGB (n, 224, 224, 3), and their labels, (n,)."""

    photos: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def at(self, pixels: int) -> NDArray[np.uint8]:
        """The photos at another size, (n, pixels, pixels, 3)."""
        if pixels == self.photos.shape[1]:
            return self.photos
        resized = (Image.fromarray(photo).resize((pixels, pixels), Image.Resampling.BICUBIC) for photo in self.photos)
        return np.stack([np.asarray(image) for image in resized])


def decode(
    photos: Sequence[Photo],
    report: Report,
    into: Path | None = None,
) -> tuple[tuple[Photo, ...], NDArray[np.uint8]]:
    """The photos that can be read, and their pixels: uint8 RGB (n, 224, 224, 3).

    A broken photo is reported and left out. With `into` the pixels live in that .npy file, 150 KB a photo, and not
    in memory.
    """
    shape = (len(photos), INPUT_PIXELS, INPUT_PIXELS, 3)
    pixels = np.empty(shape, np.uint8) if into is None else _mapped(into, shape)
    kept: list[Photo] = []
    with ThreadPoolExecutor() as pool:
        for photo, result in zip(photos, pool.map(_decode, photos), strict=True):
            if isinstance(result, ImageError):
                report(photo, result)
            else:
                pixels[len(kept)] = result
                kept.append(photo)
    return tuple(kept), pixels[: len(kept)]


def _mapped(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array that lives in a .npy file; OSError where the disk has no room for all of it."""
    needed, free = prod(shape), shutil.disk_usage(file.parent).free
    if needed > free:  # found out later it would end the process: a mapped page can't fail in any other way
        raise OSError(f"{file.parent} has {free:,} bytes free, but the decoded photos take {needed:,}; make room")
    pixels: NDArray[np.uint8] = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    return pixels


def _decode(photo: Photo) -> NDArray[np.uint8] | ImageError:
    try:
        return images.decode(photo.path.read_bytes())
    except ImageError as error:
        return error


def labels(photos: Sequence[Photo]) -> NDArray[np.int64]:
    """The labels of `photos`, (n,)."""
    return np.array([photo.label for photo in photos], np.int64)
