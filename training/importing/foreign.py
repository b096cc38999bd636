"""Recognises VGG16 in the arrays of a file, by their shapes, and converts it to catdog's own layout.

Names differ from program to program, and a backbone may be nested in another model. But the 13 convolutions come in
their order, and each dense layer fits only one place.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network import head
from catdog.network.architecture import BLOCKS, KERNEL_PIXELS, MEAN_BGR, Architecture, Head, Layer
from training.importing.stored import Origin, Stored, opened

# How torchvision prepares photos: RGB 0-1, minus these means, divided by these deviations.
TORCH_MEAN: Final = np.array((0.485, 0.456, 0.406))
TORCH_DEVIATION: Final = np.array((0.229, 0.224, 0.225))

# What names a kernel, and its bias in the same layer: Keras 3, Keras 2 in two ways, PyTorch.
ENDINGS: Final = (("/vars/0", "/vars/1"), ("kernel:0", "bias:0"), ("kernel", "bias"), ("_W_1:0", "_b_1:0"))
TORCH_ENDINGS: Final = ((".weight", ".bias"),)

# Arrays that the network doesn't need: of the optimizer, of dropout, of metrics.
UNNEEDED: Final = re.compile(r"(^|.*/)(optimizer|optimizer_weights|seed_generator\w*|metrics|_metrics)/.*")

Arrays = dict[str, NDArray[np.float32]]


class Foreign(NamedTuple):
    """A network from elsewhere: its arrays are named as in `Architecture.shapes`."""

    architecture: Architecture
    arrays: Arrays


class _Pair(NamedTuple):
    """A layer in the file: the names of its kernel and bias, and the shape of the kernel as Keras has it."""

    kernel: str
    bias: str
    shape: tuple[int, ...]


def read(path: Path, classes: int) -> Foreign:
    """The network in a file, with a head of this many classes, in its order; WeightsError."""
    with opened(path) as (origin, arrays):
        pairs = _pairs(path.name, origin, arrays)
        convolutions = [pair for pair in pairs if len(pair.shape) == 4]
        width = _width(path.name, convolutions)
        dense = _chain(path.name, [pair for pair in pairs if len(pair.shape) == 2], Architecture(2, width))
        architecture = Architecture(classes, width, _head(path.name, dense, classes))
        found = _read_all(path.name, origin, arrays, (*convolutions, *dense), architecture)
    return Foreign(architecture, found)


def _pairs(file: str, origin: Origin, arrays: Mapping[str, Stored]) -> list[_Pair]:
    """All layers, in the order of their names; WeightsError if an array is no kernel or bias of one."""
    names = {name for name in arrays if not UNNEEDED.fullmatch(name)}
    pairs = []
    for name in sorted(names, key=_natural):
        for kernel, bias in TORCH_ENDINGS if origin == "torch" else ENDINGS:
            other = name.removesuffix(kernel) + bias
            if name.endswith(kernel) and other in names and len(arrays[name].shape) in (2, 4):
                pairs.append(_Pair(name, other, _of_keras(origin, arrays[name].shape)))
                break
    left = names.difference(*([pair.kernel, pair.bias] for pair in pairs))
    if left:
        raise WeightsError(
            file,
            f"is no kernel or bias of a convolution or dense layer ({len(left)} such arrays), and VGG16 has no others;"
            " merge batch normalization into the convolutions, and remove preprocessing layers",
            min(left, key=_natural),
        )
    return pairs


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts conv2d_2 before conv2d_10."""
    return [(int(part or 0), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _of_keras(origin: Origin, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Keras's order of a kernel's dimensions: (height, width, in, out) or (in, out)."""
    return shape if origin != "torch" else (*shape[2:], shape[1], shape[0])


def _width(file: str, convolutions: Sequence[_Pair]) -> float:
    """The width of VGG16 that these convolutions are, else WeightsError."""
    count = len(Architecture(2).backbone_layers)
    if len(convolutions) != count:
        raise WeightsError(file, f"holds a network of {len(convolutions)} convolutions, but VGG16 has {count}")
    width = convolutions[0].shape[-1] / BLOCKS[0].channels
    if 0 < width <= 1:
        needed = [layer.kernel_shape for layer in Architecture(2, width).backbone_layers]
        if [pair.shape for pair in convolutions] == needed:
            return width
    raise WeightsError(
        file, f"is not VGG16: its convolutions of {KERNEL_PIXELS} x {KERNEL_PIXELS} have other numbers of channels"
    )


def _chain(file: str, dense: Sequence[_Pair], architecture: Architecture) -> list[_Pair]:
    """The dense layers in their order: each takes what the one before gives."""
    left = list(dense)
    starts = architecture.features, Architecture(2, architecture.width, "classic").head_layers[0].kernel_shape[0]
    chain: list[_Pair] = []
    while left:
        fits = [pair for pair in left if pair.shape[0] in (starts if not chain else (chain[-1].shape[1],))]
        if not fits:
            raise WeightsError(file, "is a dense layer that doesn't follow the others", left[0].kernel)
        # Of two that fit, the square one comes before the one that ends the chain.
        chain.append(max(fits, key=lambda pair: pair.shape[1]))
        left.remove(chain[-1])
    return chain


def _head(file: str, dense: Sequence[_Pair], classes: int) -> Head:
    """Which head the dense layers are; WeightsError if it is none for this number of classes."""
    train = "train a head on its convolutions: catdog train --data DIR --backbone FILE, with an .h5 file"
    if not dense:
        raise WeightsError(file, f"holds VGG16's convolutions without a head; {train}")
    outputs = dense[-1].shape[1]
    if outputs != classes and (outputs, classes) != (1, 2):
        raise WeightsError(file, f"answers with {outputs} classes, but {classes} are named; name all, or {train}")
    if len(dense) == 1:
        return "pooled"
    if len(dense) == len(Architecture(2, head="classic").head_layers):
        return "classic"
    raise WeightsError(
        file,
        f"has a head of {len(dense)} dense layers; supported are one on the pooled features, and VGG's own of three;"
        f" {train}",
    )


def _read_all(
    file: str, origin: Origin, stored: Mapping[str, Stored], pairs: Sequence[_Pair], architecture: Architecture
) -> Arrays:
    arrays: Arrays = {}
    for layer, pair in zip(architecture.layers, pairs, strict=True):
        kernel, bias = stored[pair.kernel].read(), stored[pair.bias].read()
        if origin == "torch":
            kernel = _from_torch(kernel, layer, architecture)
        if pair.shape[-1] == 1:  # one sigmoid: the same as a softmax of 0 and it
            kernel, bias = (np.concatenate([np.zeros_like(array), array], axis=-1) for array in (kernel, bias))
        if kernel.shape != layer.kernel_shape or bias.shape != layer.bias_shape:
            raise WeightsError(file, f"has the shape {kernel.shape}, but VGG16 needs {layer.kernel_shape}", pair.kernel)
        arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/bias"] = np.ascontiguousarray(kernel), bias
    first = architecture.backbone_layers[0].name
    if origin == "torch":
        _prepare_as_torch(arrays, first)
    if origin == "catdog":  # an exported model takes RGB
        arrays[f"{first}/kernel"] = np.ascontiguousarray(arrays[f"{first}/kernel"][:, :, ::-1])
    return arrays


def _from_torch(kernel: NDArray[np.float32], layer: Layer, architecture: Architecture) -> NDArray[np.float32]:
    """A kernel of PyTorch, (out, in, height, width) or (out, in), as Keras has it."""
    if kernel.ndim == 4:
        return kernel.transpose(2, 3, 1, 0)
    if layer.name == "fc1":  # PyTorch flattens channels first
        side = int((layer.kernel_shape[0] // architecture.features) ** 0.5)
        kernel = kernel.reshape(-1, architecture.features, side, side).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    return kernel.T


def _prepare_as_torch(arrays: Arrays, first: str) -> None:
    """Change the first convolution so that it computes the same on BGR minus ImageNet's mean as on torchvision's input.

    Only at the border it differs, by at most half a step of a pixel, because the two pad with slightly other greys.
    """
    kernel = arrays[f"{first}/kernel"].astype(np.float64) / (255 * TORCH_DEVIATION).reshape(1, 1, 3, 1)
    apart = np.array(MEAN_BGR[::-1]) - 255 * TORCH_MEAN
    bias = arrays[f"{first}/bias"] + np.einsum("hwio,i->o", kernel, apart)
    arrays[f"{first}/kernel"] = np.ascontiguousarray(kernel[:, :, ::-1], np.float32)
    arrays[f"{first}/bias"] = bias.astype(np.float32)


def in_order(foreign: Foreign, classes: Sequence[str]) -> Foreign:
    """The network with its classes, named in the order of its answers, in alphabetical order, as a version has them."""
    order = np.argsort(np.array(classes))
    changed = {name: foreign.arrays[name][..., order] for name in head.ARRAYS}
    return foreign._replace(arrays=foreign.arrays | changed)
