"""Measures how many photos a network answers a second."""

from statistics import median
from time import perf_counter
from typing import Final

import numpy as np

from catdog.engines.engine import Engine
from catdog.versions import golden
from catdog.versions.measurements import Speed

TOGETHER: Final = 8  # photos in one call
CALLS: Final = 5  # whose median counts, after one that isn't timed


def measure(engine: Engine) -> Speed:
    """The engine's speed on this machine, decoding left out. Other work on it makes the number smaller."""
    pictures = golden.pictures()
    photos = np.concatenate([pictures] * (TOGETHER // len(pictures)))
    engine.infer(photos)
    seconds = []
    for _ in range(CALLS):
        began = perf_counter()
        engine.infer(photos)
        seconds.append(perf_counter() - began)
    return Speed(photos_per_second=round(len(photos) / median(seconds), 1), precision=engine.precision)
