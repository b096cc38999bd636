"""Checks a data set before training: reports problems, the photos concerned, and what to do."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from catdog.errors import CatdogError
from catdog.network.architecture import Network
from catdog.splits import SPLITS, draw
from training.data import features, label_errors, near_duplicates
from training.data.dataset import Photo, labels

LEAST_TRAINED: Final = 20  # training photos of a class; with fewer a version knows too little of it
LEAST_HELD_OUT: Final = 10  # photos of a class; with 10 of 10 right the 95% interval (Wilson) still starts at 72%


def caution(photos: Mapping[str, Mapping[str, int]]) -> str | None:
    """A warning about too few photos, from the numbers per split and class in a manifest; None if there are enough."""
    if not (parts := list(_parts(photos))):
        return None
    return f"few photos: {'; '.join(parts)}"


def _parts(photos: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    train = photos["train"]
    fewest = min(train, key=lambda name: train[name])
    if train[fewest] < LEAST_TRAINED:
        small = sum(number < LEAST_TRAINED for number in train.values())
        yield (
            f"{small:,} of {len(train):,} classes have fewer than {LEAST_TRAINED} training photos ({fewest} has"
            f" {train[fewest]}), so expect mistakes on photos unlike these"
        )
    if not any(photos.get("validation", {}).values()):
        crossed = (
            "nor by cross-validation, because a class has only one photo"
            if train[fewest] < 2
            else "but by cross-validation"
        )
        yield f"no validation photos, so accuracy was not measured on held-out photos, {crossed}"
    if not any(photos.get("test", {}).values()):
        yield f"no test photos, so versions can't be compared; add about {LEAST_HELD_OUT} of each class to test"


Kind = Literal[
    "unreadable",
    "leakage",
    "conflicting-labels",
    "duplicate",
    "near-duplicate",
    "likely-mislabel",
    "single-class",
    "too-few",
    "imbalance",
]
Splits = Mapping[str, Sequence[Photo]]

LARGEST_RATIO: Final = 10  # of two classes; beyond it, never predicting the smaller one is right on 91% or more
CONFIDENT: Final = 0.95  # a label is doubted if another class has at least this probability
LONGEST_LIST: Final = 50  # photos listed in the text for one finding

LEGEND: Final = (
    "each line: number of the picture (photos with the same number show the same one), split, class, file, beginning of"
    " its SHA-256, and what is wrong with it: of a doubted label the predicted class with its probability"
)

_SENTENCES: Final[Mapping[Kind, str]] = {
    "unreadable": "{photos} can't be read and will be left out; repair or remove",
    "leakage": "{photos} of {pictures}: identical or nearly identical photos in more than one split, so the measured"
    " accuracy is too high; keep each picture in one split",
    "conflicting-labels": "{photos} of {pictures}: identical or nearly identical photos under more than one label;"
    " keep the right label",
    "duplicate": "{photos} of {pictures}: the same file more than once in one class and split; copies add weight but"
    " no information; keep one of each",
    "near-duplicate": "{photos} of {pictures}: nearly identical photos in one class and split; keep the best of each",
    "likely-mislabel": f"{{photos}}: a model trained on the other photos predicts another class with a probability of"
    f" {CONFIDENT:.0%} or more; check them, and move those that are in the wrong class",
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FoundPhoto(_Record):
    """A photo by its name; photos with the same `picture` are (nearly) identical, None if it can't be read."""

    name: str
    label: str
    split: str
    sha256: str
    picture: int | None = None
    note: str = ""


class Finding(_Record):
    """One kind of problem; `photos` has the worst ones first, and is empty if the problem concerns a whole class."""

    kind: Kind
    sentence: str
    photos: tuple[FoundPhoto, ...] = ()


class LeftOut(_Record):
    """A file of a folder that was left out because it isn't a photo of a class, and the reason."""

    name: str
    reason: str


class Findings(_Record):
    """All findings in a set of `photos` photos, in the order of `Kind`, each kind at most once.

    `left_out` are the files of the folder that were not examined.
    """

    photos: int
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...] = ()

    def table(self) -> str:
        """The findings as text, without a final newline; long lists are cut."""
        examined = _count(self.photos, "photo") + " examined"
        found = _count(len(self.findings), "finding") if self.findings else "nothing found"
        legend = [LEGEND] if any(finding.photos for finding in self.findings) else []
        return "\n\n".join([f"{examined}, {found}", *legend, *map(_table, self.findings), *_left_out(self.left_out)])


def examine(
    classes: Sequence[str],
    splits: Splits,
    network: Network,
    cache: Path,
    *,
    progress: features.Progress | None = None,
    compute: features.Compute = features.compute_here,
) -> Findings:
    """Find problems in the photos, by the network's features. The last three are those of `FeatureExtractor`."""
    placed = [(split, photo) for split, photos in splits.items() for photo in photos]
    reasons: dict[str, str] = {}

    def report(photo: Photo, error: CatdogError) -> None:
        reasons[photo.sha256] = str(error)

    seen = features.FeatureExtractor(cache, report, progress, compute).look([photo for _, photo in placed], network)
    pictures = _pictures(seen)
    found = [
        _found(photo, classes[photo.label], split, pictures.get(photo.sha256), reasons.get(photo.sha256, ""))
        for split, photo in placed
    ]
    readable = [photo for photo in found if photo.picture is not None]
    findings = [
        *_listed("unreadable", [[photo] for photo in found if photo.picture is None]),
        *_copies(readable),
        *_mislabelled(readable, seen, classes),
        *_scarce(readable, classes),
    ]
    return Findings(photos=len(found), findings=tuple(findings))


def mend(splits: Splits, findings: Findings) -> tuple[dict[str, tuple[Photo, ...]], tuple[FoundPhoto, ...]]:
    """The splits without unreadable photos and without leakage, and the photos that were dropped.

    A picture in several splits keeps only its photos in the last one, in the order train, validation, test. A class
    that would lose its last training photo keeps one picture in train instead.
    """
    stays: dict[int | None, int] = defaultdict(int)  # the split that keeps it, by picture
    suspects = [p for finding in findings.findings if finding.kind in ("unreadable", "leakage") for p in finding.photos]
    for photo in suspects:
        stays[photo.picture] = max(stays[photo.picture], SPLITS.index(photo.split))
    kept, _ = _without(splits, suspects, stays)
    pictures = {photo.sha256: photo.picture for photo in suspects if photo.picture is not None}
    for label in {p.label for p in splits["train"]} - {p.label for p in kept["train"]}:
        its = {p.sha256 for p in splits["train"] if p.label == label}
        if copied := its & pictures.keys():
            stays[pictures[max(copied, key=draw)]] = SPLITS.index("train")
    return _without(splits, suspects, stays)


def _without(
    splits: Splits, suspects: Sequence[FoundPhoto], stays: Mapping[int | None, int]
) -> tuple[dict[str, tuple[Photo, ...]], tuple[FoundPhoto, ...]]:
    """The splits without suspects that can't be read or whose picture stays in another split; and those dropped."""
    dropped = tuple(p for p in suspects if p.picture is None or SPLITS.index(p.split) != stays[p.picture])
    gone = {(photo.split, photo.sha256) for photo in dropped}
    kept = {split: tuple(p for p in photos if (split, p.sha256) not in gone) for split, photos in splits.items()}
    return kept, dropped


def _found(photo: Photo, label: str, split: str, picture: int | None, note: str) -> FoundPhoto:
    name = photo.name.encode(errors="surrogateescape").decode(errors="replace")  # a file name may not be valid Unicode
    return FoundPhoto(name=name, label=label, split=split, sha256=photo.sha256, picture=picture, note=note)


def _pictures(seen: features.Seen) -> dict[str, int]:
    """The number of the picture that a photo shows, by the photo's sha256."""
    thumbnails = {photo.sha256: grey for photo, grey in zip(seen.photos, seen.thumbnails, strict=True)}
    grey = np.array(list(thumbnails.values()), np.uint8).reshape(-1, *seen.thumbnails.shape[1:])
    return dict(zip(thumbnails, near_duplicates.pictures(grey).tolist(), strict=True))


def _copies(photos: Sequence[FoundPhoto]) -> Iterator[Finding]:
    pictures = _together(photos, "picture")
    yield from _listed("leakage", [some for some in pictures if len({photo.split for photo in some}) > 1])
    yield from _listed("conflicting-labels", [some for some in pictures if len({photo.label for photo in some}) > 1])
    yield from _listed("duplicate", _together(photos, "sha256", "split", "label"))
    alike = _together(photos, "picture", "split", "label")
    yield from _listed("near-duplicate", [some for some in alike if len({photo.sha256 for photo in some}) > 1])


def _together(photos: Sequence[FoundPhoto], *fields: str) -> list[list[FoundPhoto]]:
    """Groups of two or more photos with equal values of these fields, the largest group first."""
    groups = defaultdict(list)
    for photo in photos:
        groups[attrgetter(*fields)(photo)].append(photo)
    return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)


def _listed(kind: Kind, groups: Sequence[Sequence[FoundPhoto]]) -> Iterator[Finding]:
    """A finding with the photos in these groups, if there are any."""
    photos = tuple(photo for group in groups for photo in group)
    if photos:
        counts = {"photos": _count(len(photos), "photo"), "pictures": _count(len(groups), "picture")}
        yield Finding(kind=kind, sentence=_SENTENCES[kind].format(**counts), photos=photos)


def _mislabelled(photos: Sequence[FoundPhoto], seen: features.Seen, classes: Sequence[str]) -> Iterator[Finding]:
    truth = labels(seen.photos)
    pictures = np.array([photo.picture for photo in photos], np.int64)
    probabilities = label_errors.cross_validated(seen.output.features, truth, pictures, len(classes))
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1, initial=0.0)
    doubted = np.flatnonzero((said != truth) & (sure >= CONFIDENT))
    noted = [
        photos[place].model_copy(update={"note": f"{classes[said[place]]} {sure[place]:.1%}"})
        for place in doubted[np.argsort(-sure[doubted], kind="stable")]
    ]
    yield from _listed("likely-mislabel", [[photo] for photo in noted])


def _scarce(photos: Sequence[FoundPhoto], classes: Sequence[str]) -> Iterator[Finding]:
    if len(classes) == 1:
        yield Finding(
            kind="single-class",
            sentence=f"all photos are of {classes[0]}, but a classifier needs at least two classes; add another one",
        )
    counts = Counter((photo.split, photo.label) for photo in photos)
    asked = {"train": LEAST_TRAINED, "validation": LEAST_HELD_OUT}
    if any(photo.split == "test" for photo in photos):
        asked["test"] = LEAST_HELD_OUT
    few = [
        f"{counts[split, name]} of {name} in {split} ({least} needed)"
        for split, least in asked.items()
        for name in classes
        if counts[split, name] < least
    ]
    if few:
        yield Finding(kind="too-few", sentence=f"too few readable photos: {'; '.join(few)}; add some")
    trained = sorted((counts["train", name], name) for name in classes)
    (fewest, rare), (most, common) = trained[0], trained[-1]
    if fewest and most > LARGEST_RATIO * fewest:
        yield Finding(
            kind="imbalance",
            sentence=f"{most:,} training photos of {common}, but {fewest:,} of {rare}: more than {LARGEST_RATIO} times"
            f" as many, so {rare} will seldom be predicted; add photos of {rare}, or remove some of {common}",
        )


def _table(finding: Finding) -> str:
    rows = [
        f"  {'' if photo.picture is None else photo.picture:>7}  {photo.split:<10}  {photo.label}"
        f"  {_printable(photo.name)}  {photo.sha256[:12]}  {photo.note}".rstrip()
        for photo in finding.photos[:LONGEST_LIST]
    ]
    more = len(finding.photos) - LONGEST_LIST
    return "\n".join([f"{finding.kind}: {finding.sentence}", *rows, *([f"  and {more:,} more"] if more > 0 else [])])


def _left_out(files: Sequence[LeftOut]) -> Iterator[str]:
    if files:
        more = [f"  and {len(files) - LONGEST_LIST:,} more"] if len(files) > LONGEST_LIST else []
        rows = [f"  {file.name}: {file.reason}" for file in files[:LONGEST_LIST]]
        yield "\n".join([f"left out: {len(files):,}", *rows, *more])


def _printable(name: str) -> str:
    """Escape control characters of a file name, which a terminal would obey."""
    return name if name.isprintable() else repr(name)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
