"""The engines are compared with each other, and the reference with Keras's own VGG16."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from catdog.engines import keras as reference
from catdog.engines import openvino
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture, Head, Network
from catdog.system import resources
from tests.networks import random_arrays, random_pixels

PIXELS = random_pixels(3)
HEADS: tuple[Head, ...] = ("pooled", "classic")


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Equal up to `tolerance` of the largest expected value: activations of raw pixels are in the hundreds."""
    return bool(np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("head", HEADS)
def test_openvino_in_float32_says_what_keras_says(head: Head) -> None:
    network = Architecture(3, width=1 / 16, head=head)
    arrays = random_arrays(network)

    expected = reference.KerasEngine(Network(network, arrays), "f32").infer(PIXELS)
    found = OpenVINOEngine(Network(network, arrays), "f32").infer(PIXELS)

    assert np.abs(found.logits - expected.logits).max() < 1e-3
    assert np.abs(found.features - expected.features).max() < 1e-3


@pytest.mark.parametrize("head", HEADS)
def test_outputs_have_a_row_a_photo(head: Head) -> None:
    network = Architecture(5, width=1 / 32, head=head)

    logits, features = OpenVINOEngine(Network(network, random_arrays(network))).infer(PIXELS)

    assert logits.shape == (3, 5)
    assert features.shape == (3, 16)
    assert logits.dtype == features.dtype == np.float32


def test_a_photos_answer_does_not_depend_on_its_neighbours() -> None:
    network = Architecture(2, width=1 / 32)
    engine = OpenVINOEngine(Network(network, random_arrays(network)))

    together = engine.infer(PIXELS)
    alone = [engine.infer(photo[None]) for photo in PIXELS]

    assert close(np.concatenate([output.logits for output in alone]), together.logits, 1e-6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("shared", [False, True])
def test_an_output_stays_what_it_was_after_the_next_call(head: Head, shared: bool) -> None:
    network = Architecture(2, width=1 / 32, head=head)
    engine = OpenVINOEngine(Network(network, random_arrays(network)), streams=2)

    first = engine.infer(PIXELS[:1], shared)
    before = [output.copy() for output in first]
    for _ in range(4):  # each stream has its turn
        engine.infer(PIXELS[1:2], shared)

    assert all(np.array_equal(*pair) for pair in zip(first, before, strict=True))


@pytest.mark.parametrize("streams", [None, 1, 2, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_from_many_threads_at_once_the_answers_are_those_of_one_call_after_another(
    streams: int | None, shared: bool
) -> None:
    network = Architecture(2, width=1 / 32)
    engine = OpenVINOEngine(Network(network, random_arrays(network)), "f32", streams=streams)
    expected = [engine.infer(photo[None]) for photo in PIXELS]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda call: engine.infer(PIXELS[call % 3][None], shared), range(48)))

    if streams is not None:
        assert engine.streams == min(streams, resources.usable_cores())
    for call, output in enumerate(found):
        assert close(output.logits, expected[call % 3].logits, 1e-5)
        assert close(output.features, expected[call % 3].features, 1e-5)


def test_bfloat16_stays_near_float32() -> None:
    network = Architecture(2, width=1 / 16)
    arrays = random_arrays(network)

    exact = OpenVINOEngine(Network(network, arrays), "f32").infer(PIXELS)
    rounded = OpenVINOEngine(Network(network, arrays), "bf16").infer(PIXELS)

    assert close(rounded.features, exact.features, 0.03)


def test_the_backbone_is_that_of_keras_applications() -> None:
    theirs = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    ours = reference.build(Architecture(2))
    for layer in theirs.layers:
        if layer.weights:
            ours.get_layer(layer.name).set_weights(layer.get_weights())

    expected = theirs(keras.applications.vgg16.preprocess_input(PIXELS[:1].astype(np.float32)))
    _, features = ours(PIXELS[:1])

    assert np.abs(np.asarray(features) - np.asarray(expected).mean(axis=(1, 2))).max() < 1e-4


def test_the_classic_network_is_that_of_keras_applications() -> None:
    """Names and shapes of all layers, and the outputs; on small pictures, whose first hidden layer is small too."""
    theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=4, classifier_activation=None)
    ours = reference.build(Architecture(4, head="classic"), side=32)

    named = {layer.name: [w.shape for w in layer.weights] for layer in theirs.layers if layer.weights}
    assert {layer.name: [w.shape for w in layer.weights] for layer in ours.layers if layer.weights} == named
    for name in named:
        ours.get_layer(name).set_weights(theirs.get_layer(name).get_weights())
    small = PIXELS[:1, :32, :32]
    expected = theirs(keras.applications.vgg16.preprocess_input(small.astype(np.float32)))
    logits, _ = ours(small)

    assert np.abs(np.asarray(logits) - np.asarray(expected)).max() < 1e-4
    assert Architecture(1000, head="classic").parameters == 138_357_544  # of the pictures of 224 pixels: Keras's docs


def test_arrays_put_into_keras_come_out_again() -> None:
    network = Architecture(2, width=1 / 32)
    arrays = random_arrays(network)
    model = reference.build(network)

    reference.assign(model, arrays)
    found = reference.arrays(model, network)

    assert list(found) == list(network.shapes)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_another_head_on_the_same_graph_says_what_its_own_graph_would(monkeypatch: pytest.MonkeyPatch) -> None:
    two, three = Architecture(2, width=1 / 32), Architecture(3, width=1 / 32)
    arrays = random_arrays(two)
    other = arrays | {name: array for name, array in random_arrays(three, 1).items() if name.startswith("predictions/")}
    engine = OpenVINOEngine(Network(two, arrays))
    before, expected = engine.infer(PIXELS), OpenVINOEngine(Network(three, other)).infer(PIXELS)
    monkeypatch.setattr(openvino, "build", None)  # any use of a graph fails

    found = engine.with_head(other).infer(PIXELS)

    assert found.logits.shape == (3, 3)
    assert close(found.logits, expected.logits, 1e-6)
    assert np.array_equal(found.features, before.features)
    assert np.array_equal(engine.infer(PIXELS).logits, before.logits)


def test_engines_on_one_graph_may_be_called_at_once() -> None:
    network = Architecture(2, width=1 / 32)
    engine = OpenVINOEngine(Network(network, random_arrays(network)))
    engines = [engine.with_head(random_arrays(network, seed)) for seed in range(4)]
    expected = [each.infer(PIXELS[:1]).logits for each in engines]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda place: engines[place % 4].infer(PIXELS[:1]).logits, range(40)))

    assert all(close(logits, expected[place % 4], 1e-6) for place, logits in enumerate(found))


def test_a_classic_head_cannot_be_replaced() -> None:
    network = Architecture(2, width=1 / 32, head="classic")
    arrays = random_arrays(network)

    with pytest.raises(ValueError, match="compiled with the network"):
        OpenVINOEngine(Network(network, arrays)).with_head(arrays)


@pytest.mark.parametrize("head", HEADS)
def test_an_engine_lets_the_arrays_of_the_backbone_go(head: Head) -> None:
    network = Architecture(2, width=1 / 32, head=head)
    arrays = random_arrays(network)
    backbone = [weakref.ref(arrays[f"{layer.name}/kernel"]) for layer in network.backbone_layers]

    engine = OpenVINOEngine(Network(network, arrays))
    del arrays

    assert all(array() is None for array in backbone)
    assert engine.infer(PIXELS).logits.shape == (3, 2)
