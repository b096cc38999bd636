"""How many photos of its classes a version calls unknown, by how many set that: a table of docs/decisions/0012.

`python -m benchmarks.unknown_thresholds` prints it, from the features of 1,000 test photos that the shipped version
brings.
"""

from typing import Final

import numpy as np

from benchmarks.processes import ROOT
from catdog.store import SHIPPED
from catdog.unknown import lengths
from training import reference, unknown

SIZES: Final = (5, 10, 20, 50, 100, 200, 300)  # photos that set the threshold
DRAWS: Final = 400
WORST: Final = 0.95  # one draw in twenty calls more unknown than what is printed


def main() -> None:
    """Draw photos, set the threshold by them in both ways, and count the others that are below it."""
    features = reference.read(ROOT / "models" / str(SHIPPED) / reference.FILE).features
    random = np.random.default_rng(0)
    print("| photos | 5% point: mean | worst of 20 | tolerance limit: mean | worst of 20 |")
    print("|---:|---:|---:|---:|---:|")
    for size in SIZES:
        lost = np.array([_lost(features, random.permutation(len(features)), size) for _ in range(DRAWS)])
        cells = (f"{one.mean():.1%} | {np.quantile(one, WORST):.1%}" for one in lost.T)
        print(f"| {size} | {' | '.join(cells)} |")


def _lost(features: np.ndarray, order: np.ndarray, size: int) -> tuple[float, float]:
    """The share of the other photos below the 5% point of the first `size`, and below their tolerance limit."""
    some, others = features[order[:size]], lengths(features[order[size:]])
    fitted = unknown.fit(some)
    limit = 0.0 if fitted is None else fitted.threshold * fitted.usual_length
    point = np.quantile(lengths(some), 1 - unknown.KEPT, method="lower")
    return float((others < point).mean()), float((others < limit).mean())


if __name__ == "__main__":
    main()
