from collections.abc import Callable

import numpy as np
import pytest

from catdog.engines.engine import Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture, Arrays, Head, Network
from catdog.versions import golden
from catdog.versions.manifest import Golden
from catdog.versions.store import SHIPPED, Store
from tests.networks import random_arrays
from tests.places import ROOT

TINY = Architecture(2, width=1 / 32)


def test_the_pictures_are_the_same_everywhere_and_for_ever() -> None:
    assert golden.pictures().shape == (4, 224, 224, 3)
    assert golden.pictures().dtype == np.uint8
    assert golden.fingerprint() == "edc85cefef82d58d7292b9fc6fb9f0d6dc5f213a295afbc41629172cf6548cea"


def test_the_pictures_differ_in_grain() -> None:
    steps = [np.abs(np.diff(picture.astype(int), axis=1)).mean() for picture in golden.pictures()]

    assert steps == sorted(steps)
    assert steps[-1] > 5 * steps[0]


@pytest.mark.parametrize("head", ["pooled", "classic"])
def test_the_same_network_gives_its_golden_answers(head: Head) -> None:
    network = Architecture(3, width=1 / 32, head=head)
    arrays = random_arrays(network)
    expected = golden.record(Network(network, arrays), temperature=50.0)

    golden.check(golden.answers(OpenVINOEngine(Network(network, arrays), "f32"), 50.0), expected, "f32")


def test_a_network_that_changed_is_refused_with_the_largest_difference() -> None:
    arrays = random_arrays(TINY)
    expected = golden.record(Network(TINY, arrays), temperature=50.0)
    changed = arrays | {"block3_conv2/kernel": arrays["block3_conv2/kernel"] * 0.5}
    found = golden.answers(OpenVINOEngine(Network(TINY, changed), "f32"), 50.0)
    apart = np.abs(found - np.array(expected.probabilities)).max()

    with pytest.raises(ValueError, match=f"a probability differs by {apart:.3g}, but in f32 at most 0.001 is allowed"):
        golden.check(found, expected, "f32")


def test_what_is_no_number_is_refused() -> None:
    expected = golden.record(Network(TINY, random_arrays(TINY)), temperature=1.0)

    with pytest.raises(ValueError, match="differs by nan"):
        golden.check(np.full((4, 2), np.nan), expected, "bf16")


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (Golden(pictures="0" * 64, probabilities=((0.5, 0.5),) * 4), "pictures of another version"),
        (Golden(pictures=golden.fingerprint(), probabilities=((0.2, 0.3, 0.5),) * 4), r"the shape \(4, 3\)"),
    ],
)
def test_answers_to_something_else_are_refused(expected: Golden, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        golden.check(np.full((4, 2), 0.5), expected, "bf16")


def test_the_shipped_version_gives_its_golden_answers_and_is_sure_of_none() -> None:
    version = Store(ROOT / "models").open(SHIPPED)
    manifest = version.manifest
    assert manifest.golden is not None
    engine = OpenVINOEngine(version.network())

    golden.check(golden.answers(engine, manifest.temperature), manifest.golden, engine.precision)

    assert np.array(manifest.golden.probabilities).max() < 0.95


def colours_swapped(arrays: Arrays) -> Arrays:
    return {**arrays, "block1_conv1/kernel": arrays["block1_conv1/kernel"][:, :, ::-1]}


def kernels_turned(arrays: Arrays) -> Arrays:
    return {name: array[::-1, ::-1] if array.ndim == 4 else array for name, array in arrays.items()}


def classes_swapped(arrays: Arrays) -> Arrays:
    return {name: array[..., ::-1] if name.startswith("predictions/") else array for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("mistake", "precision"),
    [(colours_swapped, "f32"), (kernels_turned, "f32"), (classes_swapped, "bf16")],
)
def test_weights_that_are_read_wrongly_would_be_noticed_in_the_shipped_version(
    mistake: Callable[[Arrays], Arrays], precision: Precision
) -> None:
    version = Store(ROOT / "models").open(SHIPPED)
    engine = OpenVINOEngine(Network(version.manifest.architecture, mistake(version.load())), "f32")
    assert version.manifest.golden is not None

    with pytest.raises(ValueError, match="differs by"):
        golden.check(golden.answers(engine, version.manifest.temperature), version.manifest.golden, precision)
