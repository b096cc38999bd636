"""Recognises weight files of other networks, and says what to do."""

from collections.abc import Collection, Mapping
from typing import Final

from catdog.errors import WeightsError
from catdog.network.architecture import BLOCKS, Architecture
from catdog.network.hdf5 import StoredArray

VGG16: Final = sum(block.convolutions for block in BLOCKS)
VGG19: Final = 16  # convolutions, four in each of the last three blocks
ONLY_VGG19: Final = {f"block{number}_conv4" for number in (3, 4, 5)}


def refuse_other_count(file: str, convolutions: int) -> None:
    """Raise WeightsError for a clearly different number of convolutions; for one off, a later error names an array."""
    if abs(convolutions - VGG16) > 1:
        like = ", as VGG19 has" if convolutions == VGG19 else ""
        raise WeightsError(
            file, f"holds a network of {convolutions} convolutions{like}, but VGG16 has {VGG16}; pass VGG16's weights"
        )


def refuse_vgg19(file: str, layers: Collection[str]) -> None:
    """Raise WeightsError if the file has all layers that VGG19 has and VGG16 doesn't."""
    if ONLY_VGG19.issubset(layers):
        refuse_other_count(file, VGG19)


def other_width(arrays: Mapping[str, StoredArray], paths: Mapping[str, str], needed: Architecture) -> str:
    """Advice for VGG16 at another width, else "". `paths` are the arrays' paths by their names."""
    if not arrays.keys() >= set(paths.values()):
        return ""
    first = arrays[paths["block1_conv1/kernel"]].shape
    width = first[-1] / BLOCKS[0].channels if first else 0.0
    if not 0 < width <= 1 or first == needed.shapes["block1_conv1/kernel"]:
        return ""
    shapes = Architecture(2, width).shapes
    if any(arrays[path].shape != shapes[name] for name, path in paths.items()):
        return ""
    return f"; the file holds VGG16 at {width:g} times its width: with --backbone FILE, add --width {width:g}"
