"""Compares out-of-distribution measures: the tables of decision 14.

`python -m benchmarks.experiments.unknown` measures the version in service, `--backbone FILE` the convolutions in a
file, such as ../shared/models/vgg16_imagenet_notop_float16.h5. Training photos are those of DIR/train (`--data DIR`,
by default ../shared/data/cats_and_dogs), known photos those of DIR/validation, photos of neither class those of
../shared/data/neither. `--banks` compares numbers and selections of training photos, `--thresholds` prints how many
photos of both kinds are unknown, by the number of photos that set the threshold.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.experiments.ood_measures import BANKS, MEASURES, Fitted, Measure, Values, at_random, whitened
from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import ROOT
from catdog.network import weights
from catdog.network.architecture import Architecture, Network
from catdog.versions.ood import KEEP
from catdog.versions.store import Store
from training.data import dataset
from training.data.dataset import Photo
from training.data.features import FeatureExtractor
from training.evaluation import ood
from training.fitting import linear_head

KEPT: Final = (0.95, 0.96)  # shares of the known photos
SIZES: Final = (50, 100, 200, 500, 1000, 2000)  # of a bank
NEAREST: Final = (1, 5, 10)
DRAWS: Final = 3  # of a random bank
SETTING: Final = (5, 10, 20, 50, 100, 200, 300)  # photos that set a threshold
THRESHOLDS: Final = 400  # for each of these
WORST: Final = 0.95


class Photos:
    """Features of the training photos, the known photos and the photos of neither class; labels of the first two."""

    def __init__(self, data: Path, neither: Path, network: Network, cache: Path) -> None:
        splits = dataset.read(data).splits
        self.training, self.labels = _seen(splits["train"], network, cache)
        self.known, self.labels_of_known = _seen(splits["validation"], network, cache)
        self.neither, _ = _seen(ood.photos_of_neither(neither), network, cache)

    def without(self, label: int) -> "Photos":
        """A copy in which one class counts as neither class, and isn't trained on."""
        other = object.__new__(Photos)
        other.training, other.labels = self.training[self.labels != label], self.labels[self.labels != label]
        is_known = self.labels_of_known != label
        other.known, other.labels_of_known = self.known[is_known], self.labels_of_known[is_known]
        other.neither = self.known[~is_known]
        return other


def _seen(photos: Sequence[Photo], network: Network, cache: Path) -> tuple[Values, np.ndarray]:
    readable, output, _ = FeatureExtractor(cache, lambda *_: None).outputs(photos, network)
    return output.features.astype(float), dataset.labels(readable)


def fitted(photos: Photos) -> Fitted:
    """The training photos, with a linear head if there are at least two classes."""
    kernel = bias = None
    names, labels = np.unique(photos.labels, return_inverse=True)
    if len(names) > 1:
        arrays = linear_head.fit((photos.training.astype(np.float32), labels), len(names)).arrays
        kernel, bias = (arrays[f"predictions/{name}"].astype(float) for name in ("kernel", "bias"))
    return Fitted(photos.training, labels, kernel, bias)


def auroc(known: Values, neither: Values) -> float:
    """The probability that a photo of neither class has a lower value than a known one."""
    truth = np.repeat([1, 0], [len(known), len(neither)])
    return float(roc_auc_score(truth, np.concatenate([known, neither])))


def left_out(measure: Measure, each: Sequence[tuple[Fitted, Photos]]) -> float:
    """Mean AUROC with each class in turn left out: the selection criterion, which needs no other photos."""
    return float(np.mean([auroc(measure(fit, one.known), measure(fit, one.neither)) for fit, one in each]))


def row(measure: Measure, fit: Fitted, photos: Photos) -> tuple[float, ...]:
    """AUROC, and the shares of neither class below the thresholds that keep the shares KEPT of the known photos."""
    known, neither = measure(fit, photos.known), measure(fit, photos.neither)
    told = ((neither < np.quantile(known, 1 - kept, method="lower")).mean() for kept in KEPT)
    return auroc(known, neither), *map(float, told)


def measures(photos: Photos) -> Iterator[str]:
    """The table of all measures, with all training photos."""
    fit = fitted(photos)
    each = [(fitted(one), one) for one in _without_each(photos)]
    yield "| measure | AUROC, a class left out | AUROC, neither | told at 95% | told at 96% |"
    yield "|---|---:|---:|---:|---:|"
    for name, measure in MEASURES.items():
        needs_head = measure.__name__ in ("probability", "energy", "react", "ash", "she", "vim")
        without = "" if needs_head and len(each) == 2 else f"{left_out(measure, each):.3f}"
        found, *told = row(measure, fit, photos)
        yield f"| {name} | {without} | {found:.3f} | {' | '.join(f'{share:.1%}' for share in told)} |"


def banks(photos: Photos) -> Iterator[str]:
    """The table of the similarity to the k-th nearest photo, for selections of the training photos."""
    yield "| photos | which | k | AUROC, a class left out | AUROC, neither | told at 95% | told at 96% |"
    yield "|---:|---|---:|---:|---:|---:|---:|"
    random = np.random.default_rng(0)
    every = [(Fitted(one.training, one.labels, None, None), one) for one in (photos, *_without_each(photos))]
    for size in SIZES:
        for name, draw in BANKS.items():
            if name != "random" and not 100 <= size <= 500:
                continue
            drawn = [[(draw(fit, size, random), one) for _ in range(DRAWS)] for fit, one in every]
            for k in NEAREST:
                measure = whitened(k)
                apart = np.mean([left_out(measure, fits) for fits in drawn[1:]])
                found, *told = np.mean([row(measure, fit, photos) for fit, _ in drawn[0]], axis=0)
                shares = " | ".join(f"{share:.1%}" for share in told)
                yield f"| {size:,} | {name} | {k} | {apart:.3f} | {found:.4f} | {shares} |"


def _without_each(photos: Photos) -> list[Photos]:
    return [photos.without(label) for label in np.unique(photos.labels)]


def thresholds(photos: Photos) -> Iterator[str]:
    """The shares of known photos and of others called unknown, by thresholds set in two ways on few other photos.

    "Worst" is the 95th percentile over the draws.
    """
    fit = Fitted(photos.training, photos.labels, None, None)
    bank = at_random(fit, ood.MOST, np.random.default_rng(0))
    known, neither = (whitened(ood.NEAREST)(bank, some) for some in (photos.known, photos.neither))
    random = np.random.default_rng(0)
    yield "| photos | 5% point: mean | worst of 20 | tolerance limit: mean | worst of 20 | neither, told: mean |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for size in SETTING:
        lost = np.array([_lost(random.permutation(known), size, neither) for _ in range(THRESHOLDS)])
        cells = (f"{one.mean():.1%} | {np.quantile(one, WORST):.1%}" for one in lost.T[:2])
        yield f"| {size} | {' | '.join(cells)} | {lost[:, 2].mean():.1%} |"


def _lost(known: Values, size: int, neither: Values) -> tuple[float, float, float]:
    some, others = known[:size], known[size:]
    limit, point = ood.tolerance_limit(some, KEEP), np.quantile(some, 1 - KEEP, method="lower")
    return float((others < point).mean()), float((others < limit).mean()), float((neither < limit).mean())


def _network(arguments: Namespace) -> Network:
    if arguments.backbone is None:
        store = Store(arguments.models)
        return store.open(arguments.version or store.champion()).network()
    architecture = Architecture(2, 1.0)
    blank = {
        name: np.zeros(architecture.shapes[name], np.float32) for name in ("predictions/kernel", "predictions/bias")
    }
    return Network(architecture, weights.read_backbone(arguments.backbone, architecture) | blank)


def main() -> None:
    """Print the tables."""
    parser = ArgumentParser(prog="python -m benchmarks.experiments.unknown", description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--version", type=int)
    parser.add_argument("--backbone", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "cats_and_dogs", metavar="DIR")
    parser.add_argument("--neither", type=Path, default=SHARED_DATA / "neither", metavar="DIR")
    parser.add_argument("--cache", type=Path, help="folder to cache features in")
    table = parser.add_mutually_exclusive_group()
    table.add_argument("--banks", dest="table", action="store_const", const=banks, default=measures)
    table.add_argument("--thresholds", dest="table", action="store_const", const=thresholds)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        photos = Photos(arguments.data, arguments.neither, _network(arguments), arguments.cache or Path(folder))
    counts = (len(photos.training), len(photos.known), len(photos.neither))
    print("{:,} training photos, {:,} known ones, {:,} of neither class\n".format(*counts))
    for line in arguments.table(photos):
        print(line, flush=True)


if __name__ == "__main__":
    main()
