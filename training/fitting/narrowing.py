"""Cuts the channels of a trained network that matter least, as the start of a smaller one.

A channel matters as much as what it adds to the next layer varies: the deviation of its outputs, times the norm of the
weights that read it. Layer after layer, the remaining weights are then changed so that they compute from fewer channels
what the network computed from all of them, by least squares: He, Zhang & Sun, "Channel Pruning for Accelerating Very
Deep Neural Networks" (2017).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog.errors import RecipeError
from catdog.network.architecture import KERNEL_PIXELS, Architecture, Network

GROUP = 16  # channels of a wide layer are removed together: vector instructions compute this number at once
WIDE = 4 * GROUP
TOGETHER = 8  # photos that run through the network at once; more would take 100 MB each eight
PLACES = 100  # of each photo's map that count in the least squares of a convolution
RIDGE = 1e-4  # relative to the power of a layer's inputs

Values = NDArray[np.float64]
Kept = NDArray[np.int64]  # the numbers of the channels that are kept, ascending


class Narrowed(NamedTuple):
    """A network with some channels of another; `features` are the places of its features in the other's, (kept,)."""

    network: Network
    features: Kept


def deviations(network: Network, pixels: NDArray[np.uint8]) -> list[Values]:
    """The deviation of every convolution's channels as the next layer gets them, (channels,), in the network's order.

    `pixels` are photos, RGB (n, 224, 224, 3).
    """
    import keras
    from keras import ops

    model = _model(network)
    seen = [model.get_layer(name).output for name in _read_by_the_next(network.architecture)]
    moments = [ops.stack([ops.mean(x, _places(x)), ops.mean(ops.square(x), _places(x))]) for x in seen]
    of_batch = keras.Model(model.input, moments)
    starts = range(0, len(pixels), TOGETHER)
    shares = [len(pixels[start : start + TOGETHER]) / len(pixels) for start in starts]
    found = [of_batch(pixels[start : start + TOGETHER], training=False) for start in starts]
    deviations = []
    for values in zip(*found, strict=True):
        mean, square = np.average([np.asarray(value, np.float64) for value in values], axis=0, weights=shares)
        deviations.append(np.sqrt(np.maximum(square - mean**2, 0)))
    return deviations


def smaller(network: Network, deviations: Sequence[Values], share: float) -> Architecture:
    """The architecture that remains if channels are removed until only `share` of the multiply-adds is left.

    The group of channels that matters least for the work that it takes goes first. It matters by the factor by which
    its layer's remaining importance shrinks, so that no layer becomes the one through which nothing gets. RecipeError
    if so few can't remain.
    """
    architecture = network.architecture
    ranked = [np.cumsum(np.sort(each)[::-1]) + 1e-12 for each in _importance(network, deviations)]
    groups = [GROUP if len(each) >= WIDE else 1 for each in ranked]
    channels = [len(each) for each in ranked]
    target = share * architecture.multiply_adds
    while (left := _with(architecture, channels).multiply_adds) > target:
        best: tuple[float, int] | None = None
        for place, count in enumerate(channels):
            if (fewer := count - groups[place]) > 0:
                reduced = [*channels[:place], fewer, *channels[place + 1 :]]
                saved = left - _with(architecture, reduced).multiply_adds
                cost = float(np.log(ranked[place][count - 1] / ranked[place][fewer - 1])) / saved
                best = min(best or (cost, place), (cost, place))
        if best is None:
            raise RecipeError(f"the network can't be cut to {share:g} of its multiply-adds; choose a larger share")
        channels[best[1]] -= groups[best[1]]
    width = architecture.width * (left / architecture.multiply_adds) ** 0.5
    return replace(_with(architecture, channels), width=round(width, 3))


def narrow(
    network: Network,
    deviations: Sequence[Values],
    architecture: Architecture,
    pixels: NDArray[np.uint8],
    ridge: float = RIDGE,
) -> Narrowed:
    """The network with its most important channels, as many as `architecture` has; it has no int8 graph.

    `pixels` are photos, RGB (n, 224, 224, 3), on which every layer is to compute nearly what it did. The larger the
    `ridge`, the closer a weight remains to the network's where the photos say little about it.
    """
    old, new = network.architecture, architecture
    if any(fewer.bias_shape > more.bias_shape for fewer, more in zip(new.layers, old.layers, strict=True)):
        raise RecipeError("the network has fewer channels than the smaller one is to have; choose a smaller width")
    important = [*_importance(network, deviations), np.ones(old.classes)]
    kept = [
        np.sort(np.argsort(-importance, kind="stable")[: layer.bias_shape[0]])
        for layer, importance in zip(new.layers, important, strict=True)
    ]
    arrays: dict[str, NDArray[np.float32]] = {}
    for layer, inputs, outputs in zip(new.layers, [np.arange(3), *kept], kept, strict=False):
        kernel, bias = network.arrays[f"{layer.name}/kernel"], network.arrays[f"{layer.name}/bias"]
        arrays[f"{layer.name}/kernel"] = np.ascontiguousarray(kernel[..., outputs][..., inputs, :])
        arrays[f"{layer.name}/bias"] = bias[outputs]
    return Narrowed(_refitted(Network(new, arrays), network, kept, pixels, ridge), kept[-2])


def _refitted(
    narrowed: Network, network: Network, kept: Sequence[Kept], pixels: NDArray[np.uint8], ridge: float
) -> Network:
    """A copy of `narrowed` whose layers compute what those of `network` do for the outputs that are kept."""
    from catdog.engines import keras as reference

    layers = narrowed.architecture.layers
    wanted: list[list[Values]] = [[] for _ in layers]
    for inputs in _inputs(_model(network), range(len(layers)), network.architecture, pixels):
        for layer, outputs, read, found in zip(layers, kept, inputs, wanted, strict=True):
            kernel, bias = network.arrays[f"{layer.name}/kernel"], network.arrays[f"{layer.name}/bias"]
            found.append(read @ _flat(kernel[..., outputs]) + bias[outputs])
    model = _model(narrowed)
    for number, layer in enumerate(layers):
        kernel, bias = model.get_layer(layer.name).get_weights()
        reads = (read for (read,) in _inputs(model, [number], narrowed.architecture, pixels))
        missing = ((read, want - read @ _flat(kernel) - bias) for read, want in zip(reads, wanted[number], strict=True))
        change, shift = _least_squares(missing, ridge)
        model.get_layer(layer.name).set_weights([kernel + change.reshape(kernel.shape), bias + shift])
    return replace(narrowed, arrays=reference.arrays(model, narrowed.architecture))


def _inputs(
    model: Any, numbers: Sequence[int], architecture: Architecture, pixels: NDArray[np.uint8]
) -> Iterator[list[Values]]:
    """What the layers with these numbers read at random places, (rows, inputs), for a few photos after the other.

    A layer with the same number in another network reads at the same places.
    """
    import keras

    names = [architecture.layers[number].name for number in numbers]
    maps = keras.Model(model.input, [model.get_layer(name).input for name in names])
    for start in range(0, len(pixels), TOGETHER):
        found = keras.tree.flatten(maps(pixels[start : start + TOGETHER], training=False))  # one isn't in a list
        yield [_read(np.asarray(x), (start, number)) for x, number in zip(found, numbers, strict=True)]


def _read(x: NDArray[np.float32], seed: Sequence[int]) -> Values:
    """What a layer reads: vectors (n, channels), or windows at PLACES of every map (n, height, width, channels)."""
    if x.ndim == 2:
        return x.astype(np.float64)
    photos, height, width, _ = x.shape
    random, edge = np.random.default_rng(seed), KERNEL_PIXELS // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL_PIXELS, KERNEL_PIXELS), axis=(1, 2))
    down, across = random.integers(height, size=(photos, PLACES)), random.integers(width, size=(photos, PLACES))
    chosen = windows[np.arange(photos)[:, None], down, across]
    return np.moveaxis(chosen, 2, -1).reshape(photos * PLACES, -1).astype(np.float64)


def _least_squares(parts: Iterable[tuple[Values, Values]], ridge: float) -> tuple[Values, Values]:
    """Small weights (inputs, outputs) and a bias (outputs,) that turn rows of inputs into rows of outputs."""
    squares, products = np.zeros((1, 1)), np.zeros((1, 1))
    for inputs, outputs in parts:
        with_bias = np.hstack([inputs, np.ones((len(inputs), 1))])
        squares = squares + with_bias.T @ with_bias
        products = products + with_bias.T @ outputs
    power = np.diag(squares)[:-1].mean() + 1e-12
    penalty = np.diag([*np.full(len(squares) - 1, ridge * power), 0.0])
    found = np.linalg.solve(squares + penalty, products).astype(np.float64)
    return found[:-1], found[-1]


def _flat(kernel: NDArray[np.floating]) -> NDArray[np.floating]:
    return kernel.reshape(-1, kernel.shape[-1])


def _model(network: Network) -> Any:
    from catdog.engines import keras as reference

    model = reference.build(network.architecture, kernels="zeros")
    reference.assign(model, network.arrays)
    return model


def _importance(network: Network, deviations: Sequence[Values]) -> Iterator[Values]:
    """How much each channel of each convolution adds to the variation of the next layer, (channels,)."""
    layers = network.architecture.layers
    for (_, following), each in zip(pairwise(layers), deviations, strict=True):
        kernel = network.arrays[f"{following.name}/kernel"].astype(np.float64)
        if following is layers[-1]:
            kernel = kernel - kernel.mean(axis=1, keepdims=True)  # what all classes get alike changes no probability
        yield each * np.sqrt(np.square(kernel).sum(axis=(*range(kernel.ndim - 2), -1)))


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
