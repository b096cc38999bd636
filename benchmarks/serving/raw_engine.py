"""Runs Keras's engine without a service, in a process of its own."""

from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np

from catdog.engines.keras import BATCH_SIZES, KerasEngine, device
from catdog.network.architecture import INPUT_PIXELS
from catdog.versions.store import Store

WARMING = 3  # calls


def photos_a_second(version: Path, batch: int, seconds: float) -> float:
    """Of calls with so many photos each, one after the other, in bfloat16; at least one call."""
    engine = _engine(version)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, INPUT_PIXELS, INPUT_PIXELS, 3), np.uint8)
    for _ in range(WARMING):
        engine.infer(pixels)
    begun, took, calls = perf_counter(), 0.0, 0
    while not calls or took < seconds:
        engine.infer(pixels)
        calls, took = calls + 1, perf_counter() - begun
    return calls * batch / took


def computes_with() -> str:
    """The backend, and what it computes on."""
    return device()


@cache
def _engine(version: Path) -> KerasEngine:
    """bf16 also where there is no GPU, and as many photos at once."""
    network = Store(version.parent).open(int(version.name)).network("f32")
    return KerasEngine(network, "bf16", BATCH_SIZES[-1])
