"""Compares starts of a compressed network before any training: a number of decision 18.

`python -m benchmarks.experiments.training.narrowing [--data DIR] [--width WIDTH]` cuts version 1 of `models` to WIDTH
of its channels, and prints for how many photos of DIR that it wasn't fitted to it still gives the version's answer.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import ROOT
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture, Network
from catdog.versions.store import Store
from training.data import dataset
from training.data.pixels import decode
from training.fitting import narrowing
from training.fitting.observer import Terminal

MOST = 500  # photos: one half to fit to, the other to test with
NOT_REFITTED = 1e9  # a ridge that leaves the weights as they are


def answers(network: Network, pixels: np.ndarray) -> Any:
    """The most likely class of each photo, (n,)."""
    return OpenVINOEngine(network, "f32").infer(pixels).logits.argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.experiments.training.narrowing", description="Cuts version 1."
    )
    parser.add_argument(
        "--data", type=Path, default=SHARED_DATA / "cats_and_dogs" / "validation", metavar="DIR", help="photos"
    )
    parser.add_argument("--width", type=float, default=0.25, help="share of the channels (default 0.25)")
    given = parser.parse_args()
    version = Store(ROOT / "models").open(1)
    photos = dataset.read_split(given.data, version.manifest.classes)
    _, pixels = decode(photos[:: max(1, len(photos) // MOST)], Terminal().skipped)
    fitted, tested = pixels[::2], pixels[1::2]
    network = version.network("f32")
    deviations, expected = narrowing.deviations(network, fitted), answers(network, tested)
    even = Architecture(len(version.manifest.classes), given.width)
    share = even.multiply_adds / network.architecture.multiply_adds
    starts = {
        "the same share of every layer's channels": (even, NOT_REFITTED),
        "the same, the rest refitted": (even, narrowing.RIDGE),
        "as much work, but more channels where they matter more, refitted": (
            narrowing.smaller(network, deviations, share),
            narrowing.RIDGE,
        ),
    }
    print(f"{Machine.this().where}; width {given.width:g}, {len(tested)} photos\n\n| start | same answer |\n|---|---|")
    for name, (smaller, ridge) in starts.items():
        narrowed = narrowing.narrow(network, deviations, smaller, fitted, ridge).network
        print(f"| {name} | {np.mean(answers(narrowed, tested) == expected):.1%} |", flush=True)


if __name__ == "__main__":
    main()
