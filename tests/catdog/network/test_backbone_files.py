"""The backbone is found in files of Keras 2 and of larger networks; other networks are named."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from catdog.errors import WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.catdog.network.keras_files import (
    ARRAYS,
    CLASSIC,
    KERAS_2,
    SMALL,
    assert_same,
    backbone_of,
    write_keras_2,
    write_keras_3,
)
from tests.networks import random_arrays


@pytest.mark.parametrize("layout", KERAS_2)
@pytest.mark.parametrize("architecture", [SMALL, CLASSIC], ids=str)
def test_the_backbone_of_a_keras_2_file_is_read_whatever_its_head(
    tmp_path: Path, layout: str, architecture: Architecture
) -> None:
    arrays = random_arrays(architecture)
    write_keras_2(tmp_path / "vgg16.hdf5", arrays, *KERAS_2[layout])
    with h5py.File(tmp_path / "vgg16.hdf5", "a") as file:
        file.create_group("flatten")
        file["optimizer_weights/Adam/m/block1_conv1/kernel:0"] = np.zeros(3)
        file["dense/dense/kernel:0"] = np.zeros((3, 4))
    assert_same(weights.read_backbone(tmp_path / "vgg16.hdf5", SMALL), backbone_of(arrays))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("block3_conv4/block3_conv4_W_1:0", "block3_conv4/kernel: is surplus"),  # VGG19
        ("model_weights/block1_conv1/kernel:0", "is a second block1_conv1/kernel"),
    ],
)
def test_convolutions_of_another_network_are_refused(tmp_path: Path, item: str, problem: str) -> None:
    write_keras_2(tmp_path / "vgg.h5", ARRAYS, *KERAS_2["published"])
    with h5py.File(tmp_path / "vgg.h5", "a") as file:
        file[item] = np.zeros((3, 3, 16, 16), np.float32)
    with pytest.raises(WeightsError, match=problem):
        weights.read_backbone(tmp_path / "vgg.h5", SMALL)


def test_a_keras_2_file_is_held_to_the_same_rules(tmp_path: Path) -> None:
    write_keras_2(tmp_path / "vgg.h5", ARRAYS, *KERAS_2["published"])
    with h5py.File(tmp_path / "vgg.h5", "a") as file:
        file["block5_conv3/block5_conv3_b_1:0"][0] = np.nan
    with pytest.raises(WeightsError, match=r"block5_conv3/block5_conv3_b_1:0: holds NaN"):
        weights.read_backbone(tmp_path / "vgg.h5", SMALL)
    with h5py.File(tmp_path / "vgg.h5", "a") as file:
        del file["block5_conv3/block5_conv3_b_1:0"]
    with pytest.raises(WeightsError, match="block5_conv3/bias: is missing"):
        weights.read_backbone(tmp_path / "vgg.h5", SMALL)


def test_only_the_networks_own_layout_is_read_as_a_whole_network(tmp_path: Path) -> None:
    write_keras_2(tmp_path / "vgg.h5", ARRAYS, *KERAS_2["published"])
    with pytest.raises(WeightsError, match="layers/conv2d/vars/0: is missing"):
        weights.read(tmp_path / "vgg.h5", SMALL)


def test_a_file_of_neither_layout_is_refused(tmp_path: Path) -> None:
    write_keras_2(tmp_path / "resnet.h5", {"conv1/kernel": np.zeros(3, np.float32)}, "{0}/kernel:0", "")
    with pytest.raises(WeightsError, match="holds no VGG16 in the layout of Keras 2 or Keras 3"):
        weights.read_backbone(tmp_path / "resnet.h5", SMALL)


@pytest.mark.parametrize(
    "network",
    ["base/", "layers/functional_1/", "layers/sequential/layers/functional/", "_layer/encoder/"],
)
def test_the_backbone_is_found_wherever_the_network_lies(tmp_path: Path, network: str) -> None:
    """Also next to an unrelated network and an optimiser's moments."""
    with h5py.File(write_keras_3(tmp_path)) as whole, h5py.File(tmp_path / "nested.weights.h5", "w") as file:
        whole.copy("layers", file.require_group(network))
        file["layers/functional/layers/conv2d/vars/0"] = np.zeros((5, 5, 3, 8), np.float32)
        file["optimizer/layers/conv2d/vars/0"] = np.zeros(3, np.float32)
        file["head/vars/0"] = np.zeros((3, 4), np.float32)

    assert_same(weights.read_backbone(tmp_path / "nested.weights.h5", SMALL), backbone_of(ARRAYS))


def test_the_backbone_is_found_among_the_attributes_of_a_subclass(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for name, values in ARRAYS.items():
            layer, kind = name.split("/")
            file[f"backbone/{layer}/vars/{int(kind == 'bias')}"] = values

    assert_same(weights.read_backbone(tmp_path / "model.weights.h5", SMALL), backbone_of(ARRAYS))


def test_of_two_networks_like_vgg16_none_is_chosen(tmp_path: Path) -> None:
    with h5py.File(write_keras_3(tmp_path)) as whole, h5py.File(tmp_path / "two.weights.h5", "w") as file:
        for network in ("left", "right"):
            whole.copy("layers", file.require_group(network))

    with pytest.raises(WeightsError, match=r"holds 2 networks like VGG16 \(left/, right/\); save that network alone: "):
        weights.read_backbone(tmp_path / "two.weights.h5", SMALL)


@pytest.mark.parametrize(
    ("convolutions", "said"),
    [(53, "53 convolutions, but"), (16, "16 convolutions, as VGG19 has, but"), (3, "3 convolutions, but")],
)
def test_another_network_is_called_one(tmp_path: Path, convolutions: int, said: str) -> None:
    with h5py.File(tmp_path / "other.weights.h5", "w") as file:
        for number in range(convolutions):
            for array in range(2):
                file[f"layers/conv2d{f'_{number}' if number else ''}/vars/{array}"] = np.zeros(3, np.float32)

    with pytest.raises(WeightsError, match=f"holds a network of {said} VGG16 has 13; pass VGG16's weights"):
        weights.read_backbone(tmp_path / "other.weights.h5", SMALL)


def test_vgg19_is_called_by_its_name(tmp_path: Path) -> None:
    fourth = {f"block{number}_conv4/kernel": np.zeros((3, 3, 8, 8), np.float32) for number in (3, 4, 5)}
    write_keras_2(tmp_path / "vgg19.h5", ARRAYS | fourth, *KERAS_2["published"])

    with pytest.raises(WeightsError, match="holds a network of 16 convolutions, as VGG19 has, but VGG16 has 13"):
        weights.read_backbone(tmp_path / "vgg19.h5", SMALL)


@pytest.mark.parametrize("layout", ["Keras 2", "Keras 3"])
def test_of_another_width_it_is_said_which_and_what_to_do(tmp_path: Path, layout: str) -> None:
    path = write_keras_3(tmp_path)
    if layout == "Keras 2":
        write_keras_2(path, ARRAYS, *KERAS_2["published"])

    with pytest.raises(WeightsError, match=r"the file holds VGG16 at 0\.03125 times its width: .* --width 0\.03125$"):
        weights.read_backbone(path, Architecture(2, 1 / 16))


def test_kernels_in_theanos_order_are_refused_with_what_to_do(tmp_path: Path) -> None:
    turned = {name: values.transpose(3, 2, 0, 1) if values.ndim == 4 else values for name, values in ARRAYS.items()}
    write_keras_2(tmp_path / "vgg16_th.h5", turned, *KERAS_2["published"])

    with pytest.raises(WeightsError, match=r"Theano's order: .*transpose\(2, 3, 1, 0\)"):
        weights.read_backbone(tmp_path / "vgg16_th.h5", SMALL)
