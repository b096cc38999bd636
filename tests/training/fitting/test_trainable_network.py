import keras
import numpy as np
import pytest

from catdog.engines.keras import KerasEngine
from catdog.network.architecture import Architecture, Head, Network
from tests.networks import random_arrays, random_pixels
from training.fitting import trainable_network
from training.fitting.trainable_network import BatchNormalization

PIXELS = random_pixels(4)
HEADS: tuple[Head, ...] = ("pooled", "classic")


def built(architecture: Architecture) -> keras.Model:
    """A trainable network with non-default normalisation statistics, as after a training."""
    model = trainable_network.build(architecture, dropout=0.5, policy="float32", seed=3)
    chance = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.set_weights([chance.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() < 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("head", HEADS)
def test_folded_arrays_compute_what_the_normalised_network_computes(head: Head) -> None:
    architecture = Architecture(3, width=1 / 16, head=head)
    model = built(architecture)

    folded = trainable_network.fold(model, architecture)

    assert {name: array.shape for name, array in folded.items()} == architecture.shapes
    assert close(KerasEngine(Network(architecture, folded), "f32").infer(PIXELS).logits, model.predict_on_batch(PIXELS))


def test_an_unfolded_network_starts_from_what_the_arrays_compute() -> None:
    architecture = Architecture(2, width=1 / 16)
    arrays = random_arrays(architecture)
    model = built(architecture)

    trainable_network.unfold(model, architecture, arrays, PIXELS)

    assert close(model.predict_on_batch(PIXELS), KerasEngine(Network(architecture, arrays), "f32").infer(PIXELS).logits)
    normalised = model(PIXELS, training=True)
    assert np.isfinite(np.asarray(normalised)).all()


def test_with_the_pooled_head_any_size_of_picture_will_do() -> None:
    model = trainable_network.build(Architecture(2, width=1 / 32), dropout=0.0, policy="float32", seed=0)

    assert model.predict_on_batch(random_pixels(2, side=64)).shape == (2, 2)


def test_the_same_seed_builds_the_same_network() -> None:
    first, same, other = (
        trainable_network.build(Architecture(2, width=1 / 32), 0.2, "float32", seed).predict_on_batch(PIXELS)
        for seed in (1, 1, 2)
    )

    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_logits_are_float32_in_mixed_precision() -> None:
    model = trainable_network.build(Architecture(2, width=1 / 32), 0.2, "mixed_bfloat16", seed=0)

    assert model.predict_on_batch(PIXELS).dtype == np.float32


def test_the_fused_normalisation_is_keras_own() -> None:
    """The same outputs, and the same moving statistics after a step of training."""
    inputs = np.random.default_rng(0).normal(3, 2, (8, 5, 5, 6)).astype(np.float32)
    fused, plain = BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)

    outputs = [np.asarray(layer(inputs, training=True)) for layer in (fused, plain)]

    assert np.abs(outputs[0] - outputs[1]).max() < 1e-4
    for ours, theirs in zip(fused.get_weights()[:3], plain.get_weights()[:3], strict=True):
        assert np.abs(ours - theirs).max() < 1e-4
    unbiased = fused.get_weights()[3] / plain.get_weights()[3]  # the fused kernel divides by n - 1
    assert np.abs(unbiased - 1).max() < 0.01
