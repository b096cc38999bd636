"""The engine for a GPU, on Keras's present backend; the last test runs the others again on JAX."""

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.engines.engine import Precision
from catdog.engines.keras import BATCH_SIZES, KerasEngine, has_accelerator
from catdog.network.architecture import Architecture, Head, Network
from catdog.versions import golden
from tests.networks import random_arrays, random_pixels
from tests.places import ROOT

BACKEND = keras.backend.backend()
PIXELS = random_pixels(9)
SMALL = Network(Architecture(2, width=1 / 32), random_arrays(Architecture(2, width=1 / 32)))
HEADS: tuple[Head, ...] = ("pooled", "classic")


def random_network(head: Head) -> Network:
    architecture = Architecture(2, width=1 / 32, head=head)
    return Network(architecture, random_arrays(architecture))


def close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = 1e-5) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= tolerance * np.abs(expected).max())


def one_by_one(engine: KerasEngine) -> NDArray[np.float32]:
    """The logits of PIXELS, computed one photo at a time, so that no other photo can affect them."""
    return np.concatenate([engine.infer(photo[np.newaxis]).logits for photo in PIXELS])


@pytest.fixture(scope="module")
def engine() -> KerasEngine:
    """An engine with batches of up to four photos."""
    return KerasEngine(SMALL, "f32", largest_batch=4)


@pytest.mark.parametrize("head", HEADS)
def test_any_number_of_photos_gets_the_answers_that_each_gets_alone(head: Head) -> None:
    engine = KerasEngine(random_network(head), "f32", largest_batch=4)
    alone = one_by_one(engine)

    for photos in range(1, len(PIXELS) + 1):
        logits, features = engine.infer(PIXELS[:photos])
        assert close(logits, alone[:photos])
        assert features.shape == (photos, 16)
        assert logits.dtype == features.dtype == np.float32


def test_what_fills_a_batch_up_changes_no_answer(engine: KerasEngine) -> None:
    filled, full = engine.infer(PIXELS[:3]), engine.infer(PIXELS[:4])

    assert np.array_equal(filled.features, full.features[:3])


def test_every_size_of_batch_is_compiled_by_warming_and_none_later(compiled: Callable[[KerasEngine], int]) -> None:
    engine = KerasEngine(SMALL, "f32", largest_batch=64)
    before = compiled(engine) if BACKEND == "jax" else 0

    engine.warm()

    warm = compiled(engine)
    # TensorFlow traces again where a second shape comes, for every shape then, and leaves the sizes to XLA on a GPU.
    assert warm - before == (len(BATCH_SIZES) if BACKEND == "jax" else 2)
    for photos in (64, 1, 33, 3, 70):
        assert len(engine.infer(random_pixels(photos)).logits) == photos
    assert compiled(engine) == warm


@pytest.fixture
def compiled() -> Callable[[KerasEngine], int]:
    """The number of compilations: functions on JAX, traces of the one function on TensorFlow."""
    if BACKEND != "jax":
        return lambda engine: int(engine._model.predict_function.experimental_get_tracing_count())
    import jax

    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: events.append(event))
    return lambda engine: events.count("/jax/core/compile/backend_compile_duration")


def test_many_threads_may_call_at_once(engine: KerasEngine) -> None:
    expected = one_by_one(engine)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda call: engine.infer(PIXELS[call % 7 :][: 1 + call % 3]).logits, range(48)))

    for call, logits in enumerate(found):
        assert close(logits, expected[call % 7 :][: 1 + call % 3])


def test_another_head_shares_the_model(engine: KerasEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    three = Architecture(3, width=1 / 32)
    arrays = {**SMALL.arrays, **{k: v for k, v in random_arrays(three, 1).items() if k.startswith("predictions/")}}
    expected = KerasEngine(Network(three, arrays), "f32").infer(PIXELS[:1])
    before = engine.infer(PIXELS[:1])
    monkeypatch.setattr("catdog.engines.keras.build", None)  # any use of a model fails

    found = engine.with_head(arrays).infer(PIXELS[:1])

    assert close(found.logits, expected.logits)
    assert np.array_equal(found.features, before.features)
    assert np.array_equal(engine.infer(PIXELS[:1]).logits, before.logits)


def test_a_classic_head_is_part_of_the_model() -> None:
    network = random_network("classic")

    with pytest.raises(ValueError, match="compiled with the network"):
        KerasEngine(network).with_head(network.arrays)


@pytest.mark.parametrize("head", HEADS)
def test_mixed_precision_stays_near_float32(head: Head) -> None:
    network = random_network(head)
    exact, mixed = (KerasEngine(network, precision).infer(PIXELS[:3]) for precision in ("f32", "bf16"))

    assert not np.array_equal(mixed.features, exact.features)
    assert close(mixed.features, exact.features, 0.03)
    assert mixed.logits.dtype == mixed.features.dtype == np.float32


def test_in_mixed_precision_the_mean_over_a_photo_is_taken_in_float32() -> None:
    features = KerasEngine(SMALL, "bf16").infer(PIXELS[:3]).features

    rounded = features.view(np.uint32) & 0xFFFF == 0  # as bfloat16 would leave every one
    assert not rounded[features != 0].all()


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_golden_answers_come_out(precision: Precision) -> None:
    answers = golden.answers(KerasEngine(SMALL, precision), temperature=100.0)

    golden.check(answers, golden.record(SMALL, temperature=100.0), precision)


def test_int8_is_refused() -> None:
    with pytest.raises(ValueError, match="doesn't run the int8 graph"):
        KerasEngine(SMALL, "int8")


def test_on_the_processor_photos_are_run_one_by_one_in_float32() -> None:
    engine = KerasEngine(SMALL)

    assert (engine.precision, engine.largest_batch, engine.streams) == ("f32", 1, 1)


@pytest.mark.parametrize("device", ["gpu:0", "tpu:0"])
def test_on_an_accelerator_64_photos_are_run_at_once_in_mixed_precision(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [device])

    engine = KerasEngine(SMALL)

    assert (engine.precision, engine.largest_batch, engine.streams) == ("bf16", 64, 1)


@pytest.mark.parametrize(("device", "accelerated"), [("cpu", False), ("cuda", True), ("mps", True)])
def test_pytorch_tells_an_accelerator_by_where_it_puts_an_array(
    device: str, accelerated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch isn't installed here; a stub stands for its arrays."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(
        "catdog.engines.keras.ops.zeros", lambda _: SimpleNamespace(device=SimpleNamespace(type=device))
    )

    assert has_accelerator() is accelerated


@pytest.mark.skipif(BACKEND == "jax", reason="on the processor JAX computes in the arrays themselves, copying none")
def test_the_engine_lets_the_arrays_of_the_backbone_go() -> None:
    architecture = Architecture(2, width=1 / 32)
    arrays = random_arrays(architecture)
    backbone = [weakref.ref(arrays[f"{layer.name}/kernel"]) for layer in architecture.backbone_layers]

    engine = KerasEngine(Network(architecture, arrays))
    del arrays

    assert all(array() is None for array in backbone)
    assert engine.infer(PIXELS[:1]).logits.shape == (1, 2)


@pytest.mark.whole
@pytest.mark.skipif(BACKEND == "jax", reason="this is the run on JAX")
def test_all_of_this_holds_on_jax() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
