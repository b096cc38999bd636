"""Log-loss of heads trained on few photos, for two ways to choose their penalty and temperature.

`python -m benchmarks.experiments.training.head` prints the table of decision 6. It needs the photos in ../shared/data.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import ROOT
from catdog.network import head as pooled
from catdog.versions import calibration
from catdog.versions.store import SHIPPED, Store
from training.data import dataset
from training.data.features import FeatureExtractor
from training.evaluation import temperature_scaling
from training.fitting import linear_head

SIZES = (100, 300, 1000, 2000)  # photos in total: 80% for training, 10% for validation
SETS = 8  # random sets of each size

Seen = tuple[NDArray[np.float32], NDArray[np.int64]]  # features (n, f) and labels (n,)


def main() -> None:
    """Draw sets of each size from the training photos, fit both ways, and measure on the 1,000 validation photos."""
    photos = SHARED_DATA / "cats_and_dogs"
    if not photos.is_dir():
        sys.exit(f"needs the photos in {photos}")
    with TemporaryDirectory() as folder, threadpool_limits(1):
        train, fresh = _features(photos, Path(folder))
        print("| photos | by validation photos: log-loss | range | by cross-validation: log-loss | range |")
        print("|---:|---:|---|---:|---|")
        for size in SIZES:
            losses = [_both(train, fresh, size, seed) for seed in range(SETS)]
            cells = (f"{median(each):.3f} | {min(each):.3f} to {max(each):.3f}" for each in zip(*losses, strict=True))
            print(f"| {size:,} | {' | '.join(cells)} |")


def _features(photos: Path, cache: Path) -> tuple[Seen, Seen]:
    version = Store(ROOT / "models").open(SHIPPED)
    network = version.network()
    found = dataset.read(photos)

    def of(split: str) -> Seen:
        kept, output, _ = FeatureExtractor(cache, lambda *_: None).outputs(found.splits[split], network)
        return output.features, dataset.labels(kept)

    return of("train"), of("validation")


def _both(train: Seen, fresh: Seen, size: int, seed: int) -> tuple[float, float]:
    """Log-loss on `fresh` of one set's head, tuned and calibrated on validation photos, and by cross-validation."""
    rows, labels = train
    drawn = np.random.default_rng(seed).permutation(len(labels))[:size]
    fitted, held_out = drawn[: size * 8 // 10], drawn[size * 8 // 10 : size * 9 // 10]
    seen, unseen = (rows[fitted], labels[fitted]), (rows[held_out], labels[held_out])
    chosen, logits = linear_head.fit(seen, classes=2)
    assert logits is not None  # noqa: S101  # no set is that small
    temperature = temperature_scaling.temperature(logits, seen[1])
    kernel, bias = chosen["predictions/kernel"], chosen["predictions/bias"]
    return _by_validation(seen, unseen, fresh), _loss(fresh, kernel, bias, temperature)


def _by_validation(seen: Seen, unseen: Seen, fresh: Seen) -> float:
    mean, scale = seen[0].mean(axis=0), seen[0].std(axis=0) + 1e-9
    heads = []
    for penalty in linear_head.PENALTIES:
        kernel, bias = linear_head._fit((seen[0] - mean) / scale, seen[1], float(penalty))
        kernel = kernel / scale[:, None]
        heads.append((kernel, bias - mean @ kernel))
    kernel, bias = min(heads, key=lambda each: _loss(unseen, each[0], each[1], 1.0))
    temperature = temperature_scaling.temperature(unseen[0] @ kernel + bias, unseen[1])
    return _loss(fresh, kernel, bias, temperature)


def _loss(seen: Seen, kernel: NDArray[np.floating], bias: NDArray[np.floating], temperature: float) -> float:
    rows, labels = seen
    arrays = {"predictions/kernel": kernel.astype(np.float32), "predictions/bias": bias.astype(np.float32)}
    probabilities = calibration.probabilities(pooled.logits(rows, arrays), temperature)
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


if __name__ == "__main__":
    main()
