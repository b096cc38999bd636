"""Cuts the channels of a trained network that matter least, as the start of a smaller one.

A channel matters as much as what it adds to the next layer varies: the deviation of its outputs, times the norm of the
weights that read it. What a removed channel adds on average becomes part of the next layer's bias. Compare He, Zhang &
Sun, "Channel Pruning for Accelerating Very Deep Neural Networks" (2017).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog.errors import RecipeError
from catdog.network.architecture import Architecture, Network

GROUP = 16  # channels of a wide layer are removed together: vector instructions compute this number at once
WIDE = 4 * GROUP
TOGETHER = 8  # photos that run through the network at once; more would take 100 MB each eight

Values = NDArray[np.float64]


class Activity(NamedTuple):
    """The outputs of a convolution's channels as the next layer gets them: mean and standard deviation, (channels,)."""

    mean: Values
    deviation: Values


class Narrowed(NamedTuple):
    """A network with some channels of another; `features` are the places of its features in the other's, (kept,)."""

    network: Network
    features: NDArray[np.int64]


def activities(network: Network, pixels: NDArray[np.uint8]) -> list[Activity]:
    """The activity of every convolution on photos, RGB (n, 224, 224, 3), in the network's order."""
    import keras
    from keras import ops

    from catdog.engines import keras as reference

    model = reference.build(network.architecture, kernels="zeros")
    reference.assign(model, network.arrays)
    seen = [model.get_layer(name).output for name in _read_by_the_next(network.architecture)]
    moments = [ops.stack([ops.mean(x, _places(x)), ops.mean(ops.square(x), _places(x))]) for x in seen]
    of_batch = keras.Model(model.input, moments)
    starts = range(0, len(pixels), TOGETHER)
    shares = [len(pixels[start : start + TOGETHER]) / len(pixels) for start in starts]
    found = [of_batch(pixels[start : start + TOGETHER], training=False) for start in starts]
    activities = []
    for values in zip(*found, strict=True):
        mean, square = np.average([np.asarray(value, np.float64) for value in values], axis=0, weights=shares)
        activities.append(Activity(mean, np.sqrt(np.maximum(square - mean**2, 0))))
    return activities


def smaller(network: Network, activity: Sequence[Activity], share: float) -> Architecture:
    """The architecture that remains if channels are removed until only `share` of the multiply-adds is left.

    The group of channels that matters least for the work that it takes goes first; a layer's channels count in
    proportion to what all of them add. RecipeError if so few can't remain.
    """
    architecture = network.architecture
    ranked = [np.sort(each)[::-1] / max(each.sum(), 1e-12) for each in _importance(network, activity)]
    groups = [GROUP if len(each) >= WIDE else 1 for each in ranked]
    channels = [len(each) for each in ranked]
    target = share * architecture.multiply_adds
    while (left := _with(architecture, channels).multiply_adds) > target:
        best: tuple[float, int] | None = None
        for place, count in enumerate(channels):
            if (fewer := count - groups[place]) > 0:
                reduced = [*channels[:place], fewer, *channels[place + 1 :]]
                saved = left - _with(architecture, reduced).multiply_adds
                cost = float(ranked[place][fewer:count].sum()) / saved
                best = min(best or (cost, place), (cost, place))
        if best is None:
            raise RecipeError(f"the network can't be cut to {share:g} of its multiply-adds; choose a larger share")
        channels[best[1]] -= groups[best[1]]
    width = architecture.width * (left / architecture.multiply_adds) ** 0.5
    return replace(_with(architecture, channels), width=round(width, 3))


def narrow(network: Network, activity: Sequence[Activity], architecture: Architecture) -> Narrowed:
    """The network with its most important channels, as many as `architecture` has; it has no int8 graph."""
    old, new = network.architecture, architecture
    if any(fewer.bias_shape > more.bias_shape for fewer, more in zip(new.layers, old.layers, strict=True)):
        raise RecipeError("the network has fewer channels than the smaller one is to have; choose a smaller width")
    arrays: dict[str, NDArray[np.float32]] = {}
    inputs, mean = np.arange(3), np.zeros(3)  # of the layer: the places of those that are kept, and the mean of each
    important = [*_importance(network, activity), np.ones(old.classes)]
    means = [*(each.mean for each in activity), np.zeros(old.classes)]
    for layer, importance, following in zip(new.layers, important, means, strict=True):
        outputs = np.sort(np.argsort(-importance, kind="stable")[: layer.bias_shape[0]])
        kernel = network.arrays[f"{layer.name}/kernel"][..., outputs]
        removed = np.setdiff1d(np.arange(len(mean)), inputs)
        constant = mean[removed] @ kernel.sum(axis=tuple(range(kernel.ndim - 2)))[removed]
        arrays[f"{layer.name}/kernel"] = np.ascontiguousarray(kernel[..., inputs, :])
        arrays[f"{layer.name}/bias"] = (network.arrays[f"{layer.name}/bias"][outputs] + constant).astype(np.float32)
        last, inputs, mean = inputs, outputs, following
    return Narrowed(Network(new, arrays), last)


def _importance(network: Network, activity: Sequence[Activity]) -> Iterator[Values]:
    """How much each channel of each convolution adds to the variation of the next layer, (channels,)."""
    layers = network.architecture.layers
    for (_, following), each in zip(pairwise(layers), activity, strict=True):
        kernel = network.arrays[f"{following.name}/kernel"].astype(np.float64)
        if following is layers[-1]:
            kernel = kernel - kernel.mean(axis=1, keepdims=True)  # what all classes get alike changes no probability
        yield each.deviation * np.sqrt(np.square(kernel).sum(axis=(*range(kernel.ndim - 2), -1)))


def _read_by_the_next(architecture: Architecture) -> Iterator[str]:
    """The layer of the Keras network whose output the next one reads, for every convolution."""
    for block in architecture.blocks:
        yield from (layer.name for layer in block[:-1])
        is_last = block is architecture.blocks[-1]
        yield "features" if is_last else f"{block[-1].name.partition('_')[0]}_pool"


def _places(x: Any) -> tuple[int, ...]:
    """The axes of a tensor except the channels."""
    return tuple(range(len(x.shape) - 1))


def _with(architecture: Architecture, channels: Sequence[int]) -> Architecture:
    return replace(architecture, channels=tuple(channels))
