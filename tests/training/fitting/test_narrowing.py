"""Cutting a network to its most important channels."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import RecipeError
from catdog.network.architecture import Architecture, Network
from training.fitting import backbones, narrowing
from training.fitting.narrowing import Activity

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
def activity(network: Network, photos: NDArray[np.uint8]) -> list[Activity]:
    return narrowing.activities(network, photos)


def silenced(network: Network, layer: str, channels: list[int]) -> Network:
    """The network with some channels that give the same value for every photo."""
    kernel, bias = (network.arrays[f"{layer}/{name}"].copy() for name in ("kernel", "bias"))
    kernel[..., channels] = 0
    bias[channels] = 3.0
    return replace(network, arrays={**network.arrays, f"{layer}/kernel": kernel, f"{layer}/bias": bias})


def test_the_activity_of_the_last_convolution_is_that_of_the_features(
    network: Network, photos: NDArray[np.uint8], activity: list[Activity]
) -> None:
    features = OpenVINOEngine(network, "f32").infer(photos).features

    assert activity[-1].mean == pytest.approx(features.mean(axis=0), rel=1e-4, abs=1e-5)
    assert activity[-1].deviation == pytest.approx(features.std(axis=0), rel=1e-2, abs=1e-4)


def test_a_channel_that_never_varies_can_go_without_a_difference(network: Network, photos: NDArray[np.uint8]) -> None:
    """In the block's last convolution the padding of the next one doesn't see it, so only inner places are equal."""
    quiet = silenced(network, "block5_conv3", [3, 4, 20])
    channels = [layer.bias_shape[0] for layer in WIDE.backbone_layers]
    smaller = replace(WIDE, channels=(*channels[:-1], WIDE.features - 3))

    narrowed = narrowing.narrow(quiet, narrowing.activities(quiet, photos), smaller)

    assert narrowed.features.tolist() == [place for place in range(WIDE.features) if place not in (3, 4, 20)]
    before = OpenVINOEngine(quiet, "f32").infer(photos)
    after = OpenVINOEngine(narrowed.network, "f32").infer(photos)
    assert after.logits == pytest.approx(before.logits, abs=1e-3)
    assert after.features == pytest.approx(before.features[:, narrowed.features], abs=1e-3)


def test_each_layer_reads_the_channels_that_the_one_before_it_keeps(network: Network, activity: list[Activity]) -> None:
    half = Architecture(2, width=1 / 32)

    narrowed = narrowing.narrow(network, activity, half).network

    assert {name: array.shape for name, array in narrowed.arrays.items()} == half.shapes
    first = narrowed.arrays["block1_conv1/kernel"]
    kept = [place for place, one in enumerate(_outputs(network)) if any(np.array_equal(one, each) for each in first.T)]
    assert len(kept) == first.shape[-1]
    of_these = network.arrays["block1_conv2/kernel"][:, :, kept]
    assert all(
        any(np.array_equal(one, each) for each in of_these.T) for one in narrowed.arrays["block1_conv2/kernel"].T
    )


def _outputs(network: Network) -> list[NDArray[np.float32]]:
    return list(network.arrays["block1_conv1/kernel"].T)


def test_the_remaining_channels_are_as_little_work_as_asked(network: Network, activity: list[Activity]) -> None:
    smaller = narrowing.smaller(network, activity, 0.3)

    assert 0.2 < smaller.multiply_adds / WIDE.multiply_adds <= 0.3
    assert smaller.width == pytest.approx(WIDE.width * 0.3**0.5, rel=0.2)
    assert smaller.channels is not None
    assert all(1 <= count <= layer.bias_shape[0] for count, layer in zip(smaller.channels, WIDE.layers, strict=False))


def test_wide_layers_keep_multiples_of_sixteen(network: Network) -> None:
    """Only the numbers of channels count here, so the arrays are zero."""
    whole = Architecture(2)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in whole.shapes.items()}
    activity = [Activity(np.zeros(n), np.ones(n)) for n in (layer.bias_shape[0] for layer in whole.backbone_layers)]

    smaller = narrowing.smaller(Network(whole, arrays), activity, 1 / 15)

    assert smaller.channels is not None
    assert {count % 16 for count in smaller.channels} == {0}
    assert smaller.multiply_adds <= whole.multiply_adds / 15


def test_a_network_can_be_cut_too_far(network: Network, activity: list[Activity]) -> None:
    with pytest.raises(RecipeError, match="can't be cut to 1e-06 of its multiply-adds"):
        narrowing.smaller(network, activity, 1e-6)
    with pytest.raises(RecipeError, match="choose a smaller width"):
        narrowing.narrow(network, activity, Architecture(2, width=1.0))
