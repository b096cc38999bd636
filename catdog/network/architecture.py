"""Describes VGG16 as data, from which both the Keras model and the OpenVINO graph are built.

Configuration D of Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition" (2014). Layer names are those of Keras's published weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from catdog.system.durable import sha256_of

INPUT_PIXELS = 224  # height and width of the network's input in service
KERNEL_PIXELS = 3  # height and width of every convolution, stride 1, padded to keep the size
POOL_PIXELS = 2  # height, width and stride of the max pooling that ends each block
MEAN_BGR = (103.939, 116.779, 123.68)  # mean of ImageNet's training photos, which the network subtracts
CLASSIC_UNITS = 4096  # of each hidden layer in the paper's own head

Head = Literal["pooled", "classic"]
Shape = tuple[int, ...]
Arrays = Mapping[str, NDArray[np.float32]]  # every array of a network by its name in `Architecture.shapes`


@dataclass(frozen=True)
class Block:
    """Convolutions at one resolution, each followed by ReLU, then 2 x 2 max pooling."""

    name: str
    convolutions: int
    channels: int  # at width 1.0


BLOCKS = (
    Block("block1", 2, 64),
    Block("block2", 2, 128),
    Block("block3", 3, 256),
    Block("block4", 3, 512),
    Block("block5", 3, 512),
)
CONVOLUTIONS = sum(block.convolutions for block in BLOCKS)


@dataclass(frozen=True)
class Layer:
    """A layer with weights: kernel (3, 3, in, out) for a convolution or (in, out) for a dense layer; bias (out,)."""

    name: str
    kernel_shape: Shape

    @property
    def bias_shape(self) -> Shape:
        return self.kernel_shape[-1:]

    @property
    def parameters(self) -> int:
        return prod(self.kernel_shape) + prod(self.bias_shape)


@dataclass(frozen=True)
class Architecture:
    """A variant of VGG16: its number of classes, width and head.

    `width` multiplies every channel count: 1.0 is the paper's network, small widths make fast tests. `channels` sets
    them one by one instead, for the 13 convolutions; `width` is then that of a network with about as much work.
    The head "pooled" is global average pooling, then one dense layer; "classic" is the paper's:
    flatten, two hidden layers, then the classes.
    """

    classes: int
    width: float = 1.0
    head: Head = "pooled"
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(f"a classifier needs at least two classes, not {self.classes}")
        if not 0 < self.width <= 1:
            raise ValueError(f"width must be in (0, 1], not {self.width}")
        if self.channels is not None and (len(self.channels) != CONVOLUTIONS or min(self.channels) < 1):
            raise ValueError(f"channels must be {CONVOLUTIONS} numbers from 1, not {self.channels}")

    @cached_property
    def blocks(self) -> tuple[tuple[Layer, ...], ...]:
        """The backbone's convolutions, block by block."""
        blocks, channels = [], 3
        outs = iter(self.channels or self._scaled_channels())
        for block in BLOCKS:
            layers = []
            for number in range(1, block.convolutions + 1):
                out = next(outs)
                shape = (KERNEL_PIXELS, KERNEL_PIXELS, channels, out)
                layers.append(Layer(f"{block.name}_conv{number}", shape))
                channels = out
            blocks.append(tuple(layers))
        return tuple(blocks)

    @cached_property
    def head_layers(self) -> tuple[Layer, ...]:
        """The dense layers on top, first to last."""
        if self.head == "pooled":
            return (Layer("predictions", (self.features, self.classes)),)
        units = self._scaled(CLASSIC_UNITS)
        side = INPUT_PIXELS // POOL_PIXELS ** len(BLOCKS)
        return (
            Layer("fc1", (side * side * self.features, units)),
            Layer("fc2", (units, units)),
            Layer("predictions", (units, self.classes)),
        )

    @property
    def backbone_layers(self) -> tuple[Layer, ...]:
        return tuple(layer for block in self.blocks for layer in block)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer with weights, in the network's order."""
        return self.backbone_layers + self.head_layers

    @property
    def features(self) -> int:
        """Length of the pooled features of one photo: 512 at width 1.0."""
        return self.backbone_layers[-1].kernel_shape[-1]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one photo: 15.3 billion in the convolutions at width 1.0."""
        side, total = INPUT_PIXELS, sum(prod(layer.kernel_shape) for layer in self.head_layers)
        for block in self.blocks:
            total += side * side * sum(prod(layer.kernel_shape) for layer in block)
            side //= POOL_PIXELS
        return total

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every array, as "block1_conv1/kernel" and "block1_conv1/bias", in the network's order."""
        shapes = {}
        for layer in self.layers:
            shapes[f"{layer.name}/kernel"] = layer.kernel_shape
            shapes[f"{layer.name}/bias"] = layer.bias_shape
        return shapes

    def _scaled_channels(self) -> Iterator[int]:
        for block in BLOCKS:
            yield from [self._scaled(block.channels)] * block.convolutions

    def _scaled(self, count: int) -> int:
        return max(1, round(count * self.width))


@dataclass(frozen=True)
class Int8Graph:
    """The convolutions in int8, as an OpenVINO graph: `path` is the .xml; the .bin next to it has its constants.

    The classic head is part of the graph. `sha256` is of both files, concatenated.
    """

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """OSError where the files can't be read."""
        return cls(path, sha256_of(path, path.with_suffix(".bin")))


@dataclass(frozen=True)
class Network:
    """What an engine is made from. Where there is an int8 graph it is to be used, if the processor can."""

    architecture: Architecture
    arrays: Arrays
    int8: Int8Graph | None = None
