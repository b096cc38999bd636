"""Class activation maps of the engines, in every precision, on graphs made here and on the shipped one."""

from collections.abc import Callable

import numpy as np
import pytest

from catdog.engines.engine import Engine, Precision
from catdog.engines.keras import KerasEngine
from catdog.engines.openvino import OpenVINOEngine, computes_in
from catdog.network.architecture import Architecture, Arrays, Head, Network
from catdog.versions import golden
from catdog.versions.store import SHIPPED, Store
from tests.networks import random_arrays, random_pixels
from tests.places import ROOT

PIXELS = random_pixels(3)
ROUNDED = {"f32": 1e-5, "int8": 1e-5, "bf16": 0.02}  # of the largest logit that a map may be from its logits


def network(head: Head = "pooled") -> Network:
    architecture = Architecture(3, width=1 / 16, head=head)
    return Network(architecture, random_arrays(architecture))


def of_the_shipped_version(precision: Precision) -> OpenVINOEngine:
    return OpenVINOEngine(Store(ROOT / "models").open(SHIPPED).network(precision), precision)


ENGINES: dict[str, Callable[[], Engine]] = {
    "OpenVINO in f32": lambda: OpenVINOEngine(network(), "f32"),
    "OpenVINO in bf16": lambda: OpenVINOEngine(network(), "bf16"),
    "Keras in f32": lambda: KerasEngine(network(), "f32"),
    "Keras in bf16": lambda: KerasEngine(network(), "bf16"),
    "the shipped version in f32": lambda: of_the_shipped_version("f32"),
    "the shipped version in int8": lambda: of_the_shipped_version("int8"),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    if "OpenVINO in bf16" in request.param and not computes_in("BF16"):
        pytest.skip("the processor has no bfloat16")
    return ENGINES[request.param]()


def test_a_map_and_the_bias_add_up_to_the_logit(engine: Engine) -> None:
    for pixels in (PIXELS, golden.pictures()):
        output, maps, bias = engine.explain(pixels)

        assert maps.shape == (len(pixels), 7, 7, output.logits.shape[1])
        found = maps.mean(axis=(1, 2), dtype=np.float64) + bias
        assert np.abs(found - output.logits).max() <= ROUNDED[engine.precision] * np.abs(output.logits).max()


@pytest.mark.parametrize("shared", [False, True])
def test_an_explained_answer_is_the_answer(engine: Engine, shared: bool) -> None:
    plain, explained = engine.infer(PIXELS[:1], shared), engine.explain(PIXELS[:1], shared).output

    assert np.abs(explained.logits - plain.logits).max() <= 1e-5 * np.abs(plain.logits).max()
    assert np.abs(explained.features - plain.features).max() <= 1e-5 * np.abs(plain.features).max()


def test_another_head_explains_itself(engine: Engine) -> None:
    features = engine.infer(PIXELS[:1]).features.shape[1]
    arrays: Arrays = {
        "predictions/kernel": np.ones((features, 2), np.float32),
        "predictions/bias": np.array([1, 2], np.float32),
    }

    output, maps, bias = engine.with_head(arrays).explain(PIXELS[:1])

    assert bias.tolist() == [1, 2]
    assert np.allclose(maps[..., 0], maps[..., 1])
    assert output.logits[0, 1] - output.logits[0, 0] == pytest.approx(1, rel=1e-3)


def test_what_is_at_the_left_shows_at_the_left() -> None:
    """A pattern in one corner of a grey photo changes the map there, but not in the opposite corner."""
    engine = OpenVINOEngine(network(), "f32")
    grey = np.full((1, 224, 224, 3), 128, np.uint8)
    pattern = grey.copy()
    pattern[:, -32:, :32] = random_pixels(1)[:, :32, :32]

    moved = np.abs(engine.explain(pattern).maps - engine.explain(grey).maps)[0].max(axis=2)

    assert moved.max() == moved[-2:, :2].max() > 0
    assert moved[0, -1] == 0


@pytest.mark.parametrize("make", [OpenVINOEngine, KerasEngine])
def test_a_classic_head_says_nothing_of_places(make: Callable[[Network, Precision], Engine]) -> None:
    with pytest.raises(ValueError, match="only a pooled head"):
        make(network("classic"), "f32").explain(PIXELS)
