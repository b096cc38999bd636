"""Derives split and class of a picture from its path, in folders and ZIPs.

<class>/photo.jpg           pictures of a class; subfolders may have pictures too, but not more than the folder itself
<split>/<class>/photo.jpg   chosen splits, also as <class>/<split>/photo.jpg

A split folder may be called train, training, training_set, val, valid, validation, dev, test, testing, test_set or
similar. A single folder that contains all others is skipped under any name. Ambiguous folders are refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from catdog.errors import DatasetError, UnclearFolders
from catdog.names import checked_label, folded

WANTED: Final = "<class>/photo.jpg, or train/<class>/photo.jpg, validation/<class>/photo.jpg and test/<class>/photo.jpg"
LIMIT_DEPTH: Final = 16  # number of folders considered in a path: a ZIP may have paths with thousands
LONGEST_LIST: Final = 8  # folders shown in a message
NO_CLASS: Final = "it is in no class folder"

_SPLITS = {
    "train": re.compile("train(ing)?(set|data|dataset|images)?"),
    "validation": re.compile("(val|valid|validation|dev)(set|data|dataset|images)?"),
    "test": re.compile("test(ing)?(set|data|dataset|images)?"),
}

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """The class and split of a picture; `split` is None if the folders don't set it."""

    label: str
    split: str | None


@dataclass(frozen=True)
class Layout:
    """Pictures with their classes; the files left out, with reasons; and class folders without a picture."""

    pictures: Mapping[PurePosixPath, Place]
    skipped: Mapping[PurePosixPath, str]
    empty: tuple[PurePosixPath, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, sorted."""
        return tuple(sorted({place.label for place in self.pictures.values()}))

    @property
    def without_files(self) -> tuple[PurePosixPath, ...]:
        """The class folders that have no file at all, not even one that was left out."""
        left_out = {above for file in self.skipped for above in (file, *file.parents)}
        return tuple(place for place in self.empty if place not in left_out)

    @property
    def has_splits(self) -> bool:
        return any(place.split for place in self.pictures.values())


@dataclass
class _Folder:
    parts: Parts
    own: list[PurePosixPath] = field(default_factory=list)  # pictures directly in it
    below: int = 0  # pictures in folders below it
    inner: dict[str, "_Folder"] = field(default_factory=dict)

    @property
    def with_pictures(self) -> dict[str, "_Folder"]:
        """Its subfolders that contain a picture, directly or below."""
        return {name: folder for name, folder in self.inner.items() if folder.own or folder.below}

    @property
    def is_class(self) -> bool:
        """Whether most pictures are directly in it: otherwise its subfolders may be the class folders."""
        return len(self.own) >= self.below

    @property
    def path(self) -> str:
        return "/".join(self.parts)


@dataclass(frozen=True)
class _Class:
    folder: _Folder
    name: str
    split: str | None


def arrange(pictures: Iterable[PurePosixPath], folders: Iterable[PurePosixPath] = ()) -> Layout:
    """The class and split of each picture, by its relative path; UnclearFolders if they are ambiguous.

    `folders` are all folders, so that empty class folders are found.
    """
    root = _tree(pictures, folders)
    try:
        top = _unwrapped(root)
        classes = _class_folders(top, top is not root)
    except UnclearFolders as error:
        raise UnclearFolders(error.problem, error.place, _seen(root), WANTED) from error
    labels = _labels(classes)
    by_parts = {one.folder.parts: Place(labels[one.name], one.split) for one in classes}
    placed: dict[PurePosixPath, Place] = {}
    stray: dict[PurePosixPath, str] = {}
    for picture in pictures:
        place = next((by_parts[parts] for parts in _prefixes(picture.parts[:-1]) if parts in by_parts), None)
        if place:
            placed[picture] = place
        else:
            stray[picture] = NO_CLASS
    return Layout(placed, stray, tuple(_empty(root, top, classes)))


def split_of(name: str) -> str | None:
    """The split that a folder name stands for, None if it is not the name of a split."""
    plain = re.sub(r"[\s_-]", "", name.casefold())
    return next((split for split, names in _SPLITS.items() if names.fullmatch(plain)), None)


def _tree(pictures: Iterable[PurePosixPath], folders: Iterable[PurePosixPath]) -> _Folder:
    root = _Folder(())
    for folder in folders:
        _reach(root, folder.parts)
    for picture in pictures:
        *above, last = _reach(root, picture.parts[:-1])
        last.own.append(picture)
        for outer in above:
            outer.below += 1
    return root


def _reach(root: _Folder, parts: Parts) -> list[_Folder]:
    """The folders from the root to this one, created if missing."""
    way = [root]
    for part in parts[:LIMIT_DEPTH]:
        here = way[-1]
        way.append(here.inner.setdefault(part, _Folder((*here.parts, part))))
    return way


def _prefixes(parts: Parts) -> Iterator[Parts]:
    return (parts[:length] for length in range(1, min(len(parts), LIMIT_DEPTH) + 1))


def _unwrapped(folder: _Folder, inside_split: bool = False) -> _Folder:
    """The folder itself, or the one below it that contains all pictures and has the class or split folders."""
    while True:
        with_pictures = folder.with_pictures
        if len(with_pictures) != 1:
            return folder
        ((name, inner),) = with_pictures.items()
        if inner.is_class or (split_of(name) and not inside_split):
            return folder
        folder = inner


def _class_folders(top: _Folder, is_wrapped: bool) -> list[_Class]:
    with_pictures = top.with_pictures
    if not with_pictures:
        raise UnclearFolders("there is no picture in a class folder")
    splits = {name: split for name in with_pictures if (split := split_of(name))}
    if splits:
        _refuse_mixture(with_pictures, splits)
        return [one for name, split in splits.items() for one in _of_split(with_pictures[name], split)]
    if all(not folder.own and _holds_splits(folder) for folder in with_pictures.values()):
        return [
            _Class(inner, name, split_of(split))
            for name, folder in with_pictures.items()
            for split, inner in folder.with_pictures.items()
        ]
    return _plain(top, None, is_wrapped)


def _refuse_mixture(folders: Mapping[str, _Folder], splits: Mapping[str, str]) -> None:
    others = [folder for name, folder in folders.items() if name not in splits]
    named = next((name for name in splits if folders[name].is_class), None)
    if others and named and all(folder.is_class for folder in others):
        raise UnclearFolders(
            f"{named} is the name of a split, but has pictures and no class folders; if it is a class, put all class"
            f" folders into a folder called train, as train/{named}",
            folders[named].path,
        )
    if others:
        raise UnclearFolders(
            f"if some pictures are in {', '.join(splits)}, all must be in train, validation or test",
            _first_picture(others[0]),
        )


def _holds_splits(folder: _Folder) -> bool:
    return all(split_of(name) and inner.is_class for name, inner in folder.with_pictures.items())


def _of_split(folder: _Folder, split: str) -> list[_Class]:
    inside = _unwrapped(folder, inside_split=True)
    if stray := [*folder.own, *inside.own]:
        raise UnclearFolders("a picture is in a split, but in no class folder there", str(stray[0]))
    if all(map(split_of, inside.with_pictures)):
        raise UnclearFolders("a split contains folders that are named like splits, but no classes", inside.path)
    return _plain(inside, split, inside is not folder)


def _plain(top: _Folder, split: str | None, is_wrapped: bool) -> list[_Class]:
    """Each folder with pictures as a class."""
    with_pictures = top.with_pictures
    deeper = next((folder for folder in with_pictures.values() if not folder.is_class), None)
    if deeper or (is_wrapped and len(with_pictures) == 1):
        raise UnclearFolders(
            "most pictures are deeper in a folder that may be a class or hold the classes; put all class folders side"
            " by side, with pictures directly in them",
            deeper.path if deeper else top.path,
        )
    return [_Class(folder, name, split) for name, folder in with_pictures.items()]


def _labels(classes: Iterable[_Class]) -> dict[str, str]:
    """The label for each name of a class folder."""
    labels = {}
    for one in classes:
        if not is_unicode(one.name):
            raise UnclearFolders(
                "a class folder has a name in an unknown encoding; name it in UTF-8 (in a ZIP by packing it again with"
                " a program that writes UTF-8, such as `7z a -mcu=on` or Info-ZIP's `zip`)",
                one.folder.path,
            )
        try:
            labels[one.name] = checked_label(one.name)
        except DatasetError as error:
            raise UnclearFolders(f"{error}; rename the folder", one.folder.path) from error
    spellings: dict[str, str] = {}
    for label in labels.values():
        other = spellings.setdefault(folded(label), label)
        if other != label:
            raise UnclearFolders(
                f"two classes differ only in upper and lower case: {', '.join(sorted((label, other)))}; give both"
                " folders one name"
            )
    return labels


def _empty(root: _Folder, top: _Folder, classes: Iterable[_Class]) -> Iterator[PurePosixPath]:
    """Folders without a picture at the level of the class folders, and empty splits."""
    levels = {one.folder.parts[:-1] for one in classes} | {top.parts}
    has_splits = any(one.split for one in classes)
    for parts in sorted(levels):
        for name, folder in _reach(root, parts)[-1].inner.items():
            is_one = not has_splits or bool(split_of(name)) or parts != top.parts
            if is_one and not folder.own and not folder.below:
                yield PurePosixPath(*folder.parts)


def _first_picture(folder: _Folder) -> str:
    while not folder.own:
        folder = next(iter(folder.with_pictures.values()))
    return str(folder.own[0])


def _seen(root: _Folder) -> str:
    """Each folder with pictures directly in it, and their number, as text."""
    shown: list[str] = []
    more, waiting = 0, [root]
    while waiting:
        folder = waiting.pop()
        waiting += reversed(folder.with_pictures.values())
        if folder.own and len(shown) == LONGEST_LIST:
            more += 1
        elif folder.own:
            shown.append(f"{printable(folder.path) + '/' if folder.parts else 'in no folder'} ({len(folder.own):,})")
    return ", ".join(shown) + (f" and {more:,} more" if more else "") if shown else "no picture"


def first_left_out(skipped: Mapping[PurePosixPath, str]) -> str:
    """The end of an error message: the number of files left out, and why the first one was."""
    for place, reason in skipped.items():
        return f"; of {len(skipped):,} left out the first is {printable(str(place))}: {reason}"
    return ""


def is_unicode(name: str) -> bool:
    """False if the name has bytes that aren't UTF-8, as `os.fsdecode` represents them."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def printable(name: str) -> str:
    """A name for display: invalid and invisible characters are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]
