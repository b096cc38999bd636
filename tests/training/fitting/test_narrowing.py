"""Cutting a network to its most important channels."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import RecipeError
from catdog.network.architecture import Architecture, Network
from training.fitting import backbones, narrowing
from training.fitting.narrowing import Values

WIDE = Architecture(2, width=1 / 16)


@pytest.fixture(scope="module")
def network() -> Network:
    random = np.random.default_rng(1)
    head = {"predictions/kernel": random.normal(size=(WIDE.features, 2)), "predictions/bias": np.array([0.5, -0.5])}
    return Network(WIDE, backbones.random(WIDE.width, seed=1) | {k: v.astype(np.float32) for k, v in head.items()})


@pytest.fixture(scope="module")
def photos() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (10, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def deviations(network: Network, photos: NDArray[np.uint8]) -> list[Values]:
    return narrowing.deviations(network, photos)


def silenced(network: Network, layer: str, channels: list[int]) -> Network:
    """The network with some channels that give the same value for every photo."""
    kernel, bias = (network.arrays[f"{layer}/{name}"].copy() for name in ("kernel", "bias"))
    kernel[..., channels] = 0
    bias[channels] = 3.0
    return replace(network, arrays={**network.arrays, f"{layer}/kernel": kernel, f"{layer}/bias": bias})


def test_the_deviations_of_the_last_convolution_are_those_of_the_features(
    network: Network, photos: NDArray[np.uint8], deviations: list[Values]
) -> None:
    features = OpenVINOEngine(network, "f32").infer(photos).features

    assert deviations[-1] == pytest.approx(features.std(axis=0), rel=1e-2, abs=1e-4)


def test_a_channel_that_never_varies_can_go_without_a_difference(network: Network, photos: NDArray[np.uint8]) -> None:
    """In the block's last convolution the padding of the next one doesn't see it, so only inner places are equal."""
    quiet = silenced(network, "block5_conv3", [3, 4, 20])
    channels = [layer.bias_shape[0] for layer in WIDE.backbone_layers]
    smaller = replace(WIDE, channels=(*channels[:-1], WIDE.features - 3))

    narrowed = narrowing.narrow(quiet, narrowing.deviations(quiet, photos), smaller, photos)

    assert narrowed.features.tolist() == [place for place in range(WIDE.features) if place not in (3, 4, 20)]
    before = OpenVINOEngine(quiet, "f32").infer(photos)
    after = OpenVINOEngine(narrowed.network, "f32").infer(photos)
    assert after.logits == pytest.approx(before.logits, abs=1e-3)
    assert after.features == pytest.approx(before.features[:, narrowed.features], abs=1e-3)


def test_a_network_as_wide_as_before_is_unchanged(
    network: Network, photos: NDArray[np.uint8], deviations: list[Values]
) -> None:
    same = narrowing.narrow(network, deviations, WIDE, photos).network

    assert all(same.arrays[name] == pytest.approx(array, abs=1e-5) for name, array in network.arrays.items())


def test_the_remaining_weights_compute_what_all_of_them_did(
    network: Network, photos: NDArray[np.uint8], deviations: list[Values]
) -> None:
    """On other photos as well; a ridge that holds every weight where it was shows what only cutting would do."""
    half = Architecture(2, width=1 / 32)
    others = np.random.default_rng(3).integers(0, 256, (4, 224, 224, 3), np.uint8)
    whole = OpenVINOEngine(network, "f32").infer(others).features

    def error(ridge: float) -> float:
        narrowed = narrowing.narrow(network, deviations, half, photos, ridge)
        assert {name: array.shape for name, array in narrowed.network.arrays.items()} == half.shapes
        found = OpenVINOEngine(narrowed.network, "f32").infer(others).features
        return float(np.square(found - whole[:, narrowed.features]).mean())

    assert error(narrowing.RIDGE) < error(1e9) / 2


def test_the_remaining_channels_are_as_little_work_as_asked(network: Network, deviations: list[Values]) -> None:
    smaller = narrowing.smaller(network, deviations, 0.3)

    assert 0.2 < smaller.multiply_adds / WIDE.multiply_adds <= 0.3
    assert smaller.width == pytest.approx(WIDE.width * 0.3**0.5, rel=0.2)
    assert smaller.channels is not None
    assert all(1 <= count <= layer.bias_shape[0] for count, layer in zip(smaller.channels, WIDE.layers, strict=False))


def test_wide_layers_keep_multiples_of_sixteen(network: Network) -> None:
    """Only the numbers of channels count here, so the arrays are zero."""
    whole = Architecture(2)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in whole.shapes.items()}
    deviations = [np.ones(layer.bias_shape) for layer in whole.backbone_layers]

    smaller = narrowing.smaller(Network(whole, arrays), deviations, 1 / 15)

    assert smaller.channels is not None
    assert {count % 16 for count in smaller.channels} == {0}
    assert smaller.multiply_adds <= whole.multiply_adds / 15


def test_no_layer_is_cut_to_almost_nothing_where_all_channels_matter_alike() -> None:
    whole = Architecture(2)
    arrays = {name: np.ones(shape, np.float32) for name, shape in whole.shapes.items()}
    arrays["predictions/kernel"][:, 1] = -1
    deviations = [np.ones(layer.bias_shape) for layer in whole.backbone_layers]

    smaller = narrowing.smaller(Network(whole, arrays), deviations, 1 / 15)

    assert smaller.channels is not None
    counts = [layer.bias_shape[0] for layer in whole.backbone_layers]
    assert min(left / count for left, count in zip(smaller.channels, counts, strict=True)) >= 1 / 8


def test_a_network_can_be_cut_too_far(network: Network, deviations: list[Values]) -> None:
    with pytest.raises(RecipeError, match="can't be cut to 1e-06 of its multiply-adds"):
        narrowing.smaller(network, deviations, 1e-6)
    with pytest.raises(RecipeError, match="choose a smaller width"):
        narrowing.narrow(network, deviations, Architecture(2, width=1.0), np.zeros((1, 224, 224, 3), np.uint8))
