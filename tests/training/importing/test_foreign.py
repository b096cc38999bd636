"""VGG16 from files of other programs gives the same answers as in that program."""

import pickle
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray
from safetensors.numpy import save_file

from catdog.engines import keras as reference
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import WeightsError
from catdog.network.architecture import Architecture, Head, Network
from catdog.versions.calibration import Calibration
from tests.networks import random_arrays, random_pixels
from training.exporting import keras_model
from training.importing import foreign

WIDTH = 1 / 32
Arrays = dict[str, NDArray[np.float32]]


def answers(found: foreign.Foreign, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return OpenVINOEngine(Network(found.architecture, found.arrays), "f32").infer(pixels).logits


def torchs(head: Head = "pooled", prefix: str = "", seed: int = 0) -> tuple[Arrays, Arrays]:
    """A network as PyTorch saves it, and its arrays in Keras's order: RGB as torchvision prepares it."""
    architecture = Architecture(3, WIDTH, head)
    arrays = random_arrays(architecture, seed)
    saved: Arrays = {}
    places = iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
    heads = iter((0, 3, 6) if head == "classic" else (0,))
    for layer in architecture.layers:
        kernel = arrays[f"{layer.name}/kernel"]
        if kernel.ndim == 4:
            name, turned = f"features.{next(places)}", kernel.transpose(3, 2, 0, 1)
        else:
            name = f"classifier.{next(heads)}"
            if layer.name == "fc1":
                kernel = kernel.reshape(7, 7, -1, kernel.shape[1]).transpose(2, 0, 1, 3).reshape(kernel.shape)
            turned = kernel.T
        saved[f"{prefix}{name}.weight"] = np.ascontiguousarray(turned)
        saved[f"{prefix}{name}.bias"] = arrays[f"{layer.name}/bias"]
    return saved, arrays


def as_torchvision(arrays: Arrays, head: Head, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The answers of the network on photos that are prepared as torchvision does it."""
    x = keras.Input((224, 224, 3))
    model = reference.build(Architecture(3, WIDTH, head), kernels="zeros")
    reference.assign(model, arrays)
    y = x
    for layer in model.layers[2:]:
        if layer.name != "features" or head == "pooled":
            y = layer(y)
    prepared = (pixels / 255 - foreign.TORCH_MEAN) / foreign.TORCH_DEVIATION
    logits: NDArray[np.float32] = keras.Model(x, y).predict(prepared.astype(np.float32), verbose=0)
    return logits


@pytest.mark.parametrize("head", ["pooled", "classic"])
@pytest.mark.parametrize("prefix", ["", "model.backbone."])
def test_a_network_of_torchvision_gives_its_answers(head: Head, prefix: str, tmp_path: Path) -> None:
    saved, arrays = torchs(head, prefix)
    save_file(saved, tmp_path / "vgg16.safetensors")
    pixels = random_pixels(2)

    found = foreign.read(tmp_path / "vgg16.safetensors", 3)

    expected = as_torchvision(arrays, head, pixels)
    assert found.architecture == Architecture(3, WIDTH, head)
    assert answers(found, pixels) == pytest.approx(expected, rel=0.01, abs=0.01 * float(np.abs(expected).max()))


def of_keras(nested: bool, outputs: int = 2) -> keras.Model:
    """VGG16 of Keras, alone or within another model, with a dense layer on it."""
    architecture = Architecture(2, WIDTH)
    base = reference.build(architecture, kernels="glorot_uniform")
    reference.assign(base, random_arrays(architecture))
    backbone = keras.Model(base.inputs, base.get_layer("block5_pool").output, name="vgg16")
    pixels = keras.Input((224, 224, 3), dtype="uint8")
    x = backbone(pixels) if nested else backbone.output
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    x = layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")(x)
    model = keras.Model(pixels if nested else backbone.inputs, x)
    model.compile("adam", "binary_crossentropy" if outputs == 1 else "categorical_crossentropy")
    model.fit(random_pixels(1), np.ones((1, outputs)), verbose=0)  # so that the file has an optimizer's arrays
    return model


def save_h5(model: keras.Model, path: Path) -> Path:
    model.save_weights(path.with_suffix(".weights.h5"))
    return path.with_suffix(".weights.h5")


def save_keras(model: keras.Model, path: Path) -> Path:
    model.save(path.with_suffix(".keras"))
    return path.with_suffix(".keras")


@pytest.mark.parametrize(("nested", "save", "outputs"), [(False, save_h5, 2), (True, save_keras, 1)])
def test_a_network_of_keras_gives_its_answers(
    nested: bool, save: Callable[[keras.Model, Path], Path], outputs: int, tmp_path: Path
) -> None:
    model, pixels = of_keras(nested, outputs), random_pixels(2)

    logits = answers(foreign.read(save(model, tmp_path / "vgg16"), 2), pixels)

    expected = model.predict(pixels, verbose=0)
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    assert softmax[:, -outputs:] == pytest.approx(expected, abs=1e-4)


def test_an_exported_version_is_read_as_it_was(tmp_path: Path) -> None:
    """Its first kernel takes RGB, and its head is divided by the temperature."""
    architecture = Architecture(2, WIDTH)
    network = Network(architecture, random_arrays(architecture))
    keras_model.write(keras_model.build(network, Calibration(2.0, 0.01)), "{}", tmp_path / "made.keras")

    found = foreign.read(tmp_path / "made.keras", 2)

    pixels = random_pixels(2)
    expected = OpenVINOEngine(network, "f32").infer(pixels).logits / 2
    assert answers(found, pixels) == pytest.approx(expected, rel=1e-5)


def test_the_configuration_in_a_keras_file_is_not_read(tmp_path: Path) -> None:
    path = save_keras(of_keras(nested=False), tmp_path / "vgg16")
    with ZipFile(path) as file, ZipFile(tmp_path / "other.keras", "w") as other:
        other.writestr("model.weights.h5", file.read("model.weights.h5"))
        other.writestr("config.json", "no JSON")

    assert foreign.read(tmp_path / "other.keras", 2).architecture == Architecture(2, WIDTH)


def test_classes_are_put_into_alphabetical_order(tmp_path: Path) -> None:
    saved, _ = torchs()
    save_file(saved, tmp_path / "vgg16.safetensors")
    found, pixels = foreign.read(tmp_path / "vgg16.safetensors", 3), random_pixels(2)

    ordered = foreign.in_order(found, ["dog", "cat", "ant"])

    assert answers(ordered, pixels) == pytest.approx(answers(found, pixels)[:, ::-1])


def with_normalization(saved: Arrays) -> Arrays:
    return saved | {"features.1.running_mean": np.zeros(2, np.float32)}


def without_head(saved: Arrays) -> Arrays:
    return {name: array for name, array in saved.items() if name.startswith("features")}


def without_a_convolution(saved: Arrays) -> Arrays:
    return {name: array for name, array in saved.items() if not name.startswith("features.28.")}


def with_hidden_layer(saved: Arrays) -> Arrays:
    rest = without_head(saved)
    shapes = {"head.0": (8, 16), "head.2": (3, 8)}
    for name, shape in shapes.items():
        rest |= {f"{name}.weight": np.zeros(shape, np.float32), f"{name}.bias": np.zeros(shape[0], np.float32)}
    return rest


def wider(saved: Arrays) -> Arrays:
    return saved | {
        "features.28.weight": np.zeros((17, 16, 3, 3), np.float32),
        "features.28.bias": np.zeros(17, np.float32),
    }


def with_another_head(saved: Arrays) -> Arrays:
    return saved | {"fc.weight": np.zeros((3, 9), np.float32), "fc.bias": np.zeros(3, np.float32)}


def infinite(saved: Arrays) -> Arrays:
    return saved | {"features.0.bias": np.full(2, np.inf, np.float32)}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_normalization, "features.1.running_mean.*merge batch normalization"),
        (without_head, "without a head; train a head on its convolutions"),
        (without_a_convolution, "12 convolutions, but VGG16 has 13"),
        (with_hidden_layer, "a head of 2 dense layers"),
        (wider, "is not VGG16"),
        (infinite, "holds NaN or infinity"),
        (
            lambda saved: (
                torchs(seed=1)[0] | {"fc.weight": np.zeros((3, 9), np.float32), "fc.bias": np.zeros(3, np.float32)}
            ),
            "doesn't follow the others",
        ),
    ],
)
def test_another_network_is_refused_with_what_to_do(
    change: Callable[[Arrays], Arrays], problem: str, tmp_path: Path
) -> None:
    save_file(change(torchs()[0]), tmp_path / "vgg16.safetensors")

    with pytest.raises(WeightsError, match=problem):
        foreign.read(tmp_path / "vgg16.safetensors", 3)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    save_file(torchs()[0], tmp_path / "vgg16.safetensors")

    with pytest.raises(WeightsError, match="answers with 3 classes, but 2 are named"):
        foreign.read(tmp_path / "vgg16.safetensors", 2)


class Attack:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("attacked"),)  # type: ignore[return-value]


def test_a_pickle_is_never_opened_and_the_way_to_convert_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vgg16.pth").write_bytes(pickle.dumps(Attack()))
    with ZipFile("zipped.pt", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Attack()))

    for name in ("vgg16.pth", "zipped.pt"):
        with pytest.raises(WeightsError, match=r"a pickle.*safetensors.torch.save_file"):
            foreign.read(Path(name), 3)
    assert not Path("attacked").exists()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    save_file(torchs()[0], tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.h5").write_bytes(b"")

    with pytest.raises(WeightsError, match="is not a safetensors file that can be read"):
        foreign.read(tmp_path / "cut.safetensors", 3)
    with pytest.raises(WeightsError, match="empty"):
        foreign.read(tmp_path / "empty.h5", 3)
