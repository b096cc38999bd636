"""Files that are mistaken for VGG16's weights: each function writes one, with headers of full width."""

from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np

from catdog.network.architecture import Architecture, Layer, Shape

CONVOLUTIONS = {
    f"{layer.name}/{array}": shape
    for layer in Architecture(2).backbone_layers
    for array, shape in (("kernel", layer.kernel_shape), ("bias", layer.bias_shape))
}


def write(path: Path, shapes: Mapping[str, Shape], dtype: str = "float32", first: float = 0.01) -> None:
    """Arrays as Keras publishes them; the first one is there with one value throughout, of the others a part."""
    with h5py.File(path, "w") as file:
        for name, shape in shapes.items():
            layer, array = name.split("/")
            stored = file.create_dataset(f"{layer}/{layer}_{array}_1:0", shape, dtype, chunks=True, compression="gzip")
            stored[... if name == next(iter(shapes)) else (0,) * len(shape)] = first


def resnet(path: Path) -> None:
    write(path, {"conv1/kernel": (7, 7, 3, 64), "conv1/bias": (64,), "res2a_branch2a/kernel": (1, 1, 64, 64)})


def vgg19(path: Path) -> None:
    write(path, CONVOLUTIONS | {f"block{number}_conv4/kernel": (3, 3, 512, 512) for number in (3, 4, 5)})


def vgg19_of_keras_3(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for number in range(16):
            group = f"layers/conv2d_{number}/vars" if number else "layers/conv2d/vars"
            file[f"{group}/0"], file[f"{group}/1"] = np.ones((3, 3, 3, 64)), np.ones(64)


def theano(path: Path) -> None:
    turned = {name: (shape[3], shape[2], 3, 3) if len(shape) == 4 else shape for name, shape in CONVOLUTIONS.items()}
    write(path, turned)


def whole_model(path: Path) -> None:
    with ZipFile(path, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, b"{}")


def cut_short(path: Path) -> None:
    write(path, CONVOLUTIONS)
    path.write_bytes(path.read_bytes()[:-500])


def with_nan(path: Path) -> None:
    write(path, CONVOLUTIONS, first=float("nan"))


def with_infinity(path: Path) -> None:
    write(path, CONVOLUTIONS, "float16", first=float("inf"))


def doubles(path: Path) -> None:
    write(path, CONVOLUTIONS, "float64")


def zeros(path: Path) -> None:
    """Like a file preallocated by an interrupted download."""
    path.write_bytes(bytes(100_000))


def narrow(path: Path) -> None:
    def shapes(layer: Layer) -> dict[str, Shape]:
        return {f"{layer.name}/kernel": layer.kernel_shape, f"{layer.name}/bias": layer.bias_shape}

    layers = Architecture(2, 1 / 32).backbone_layers
    write(path, {name: shape for layer in layers for name, shape in shapes(layer).items()})


def web_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html>log in to this network</html>", encoding="utf-8")


# What is said of each: what it is, and what to do.
WRONG: Mapping[Callable[[Path], None], tuple[str, str]] = {
    resnet: ("holds no VGG16", "pass weights of VGG16"),
    vgg19: ("a network of 16 convolutions, as VGG19 has", "pass VGG16's weights"),
    vgg19_of_keras_3: ("a network of 16 convolutions, as VGG19 has", "pass VGG16's weights"),
    theano: ("Theano's order", "use the file for TensorFlow"),
    whole_model: ("a .keras file, a whole model", "keras.saving.load_model"),
    cut_short: ("damaged or truncated at", "download or copy it again"),
    with_nan: ("holds NaN or infinity", "use another one"),
    with_infinity: ("holds NaN or infinity", "use another one"),
    doubles: ("holds 8-byte floats", "load_weights and save_weights"),
    zeros: ("not an HDF5 file but zeros", "download or copy it again"),
    narrow: ("VGG16 at 0.03125 times its width", "--width 0.03125"),
    web_page: ("a web page", "download the file itself"),
}
