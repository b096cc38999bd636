"""Measures the processor time that `unknown` adds to an answer: a number of decision 14.

`python -m benchmarks.experiments.unknown_cost` prints the processor time of one thread, for a version at full width.
"""

from time import thread_time
from typing import Final

import numpy as np

from catdog.network.architecture import Architecture
from catdog.versions.measurements import Neighbours, Unknown
from catdog.versions.ood import Bank, Detector, of_length_1
from training.evaluation.ood import MOST, NEAREST

TIMES: Final = 200
OTHER_BYTES: Final = 64 * 2**20  # touched in between to empty the processor's caches, as an inference does


def main() -> None:
    """Time single photos, by similarity and by length."""
    random, size = np.random.default_rng(0), Architecture(2, 1.0).features
    bank = Bank(np.eye(size, dtype=np.float32), of_length_1(random.random((MOST, size), np.float32)))
    neighbours = Neighbours(sha256="0" * 64, bytes=1, photos=MOST, nearest=NEAREST, usual_similarity=0.8)
    thresholds = ((0.5, 0.9), (0.95, 0.8))
    similar = Unknown(neighbours=neighbours, threshold=0.8, photos=100, kept=0.95, thresholds=thresholds)
    detectors = {
        f"similarity to {MOST:,} photos": Detector.of(similar, bank),
        "length": Detector.of(Unknown(usual_length=3.0, threshold=0.8, photos=100, kept=0.95)),
    }
    photo, other = random.random((1, size), np.float32), np.zeros(OTHER_BYTES // 4, np.float32)
    print("| measure | microseconds, median | after an inference |")
    print("|---|---:|---:|")
    for name, detector in detectors.items():
        cold = []
        warm = [_seconds(detector, photo) for _ in range(TIMES)]
        for _ in range(TIMES):
            other += 1
            cold.append(_seconds(detector, photo))
        print(f"| {name} | {1e6 * np.median(warm):.0f} | {1e6 * np.median(cold):.0f} |")


def _seconds(detector: Detector, photo: np.ndarray) -> float:
    began = thread_time()
    detector.judged(photo)
    return thread_time() - began


if __name__ == "__main__":
    main()
