"""The network of a version for a precision: with its int8 graph, or without."""

import logging
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from catdog.engines.openvino import OpenVINOEngine, build, precision_of
from catdog.errors import BrokenVersion
from catdog.network import weights
from catdog.network.architecture import Int8Graph, Network
from catdog.versions.manifest import Golden, Manifest, Quantization, WeightsFile
from catdog.versions.measurements import Measured
from catdog.versions.store import Store
from catdog.versions.version import INT8_GRAPH, Version
from tests.networks import random_arrays


@pytest.fixture
def version(store: Store, manifest: Manifest) -> Version:
    """A version with a graph that serves; a float32 graph is enough, because it isn't run here."""
    architecture = manifest.architecture
    arrays = random_arrays(architecture)
    with store.draft() as draft:
        weights.write(draft.weights_path, architecture, arrays)
        ov.save_model(build(architecture, arrays), draft.path / INT8_GRAPH, compress_to_fp16=False)
        file = WeightsFile.of(draft.weights_path, "float32")
        described = quantization(file, Int8Graph.of(draft.path / INT8_GRAPH))
        fields = {"weights": file, "quantization": described}
        return draft.publish(lambda _: manifest.model_copy(update=fields))


def quantization(file: WeightsFile, graph: Int8Graph) -> Quantization:
    measured = Measured(accuracy=1.0, log_loss=0.0)
    return Quantization(
        weights=file.sha256,
        graph=graph.sha256,
        calibration_photos=1,
        photos=1,
        f32=measured,
        int8=measured,
        largest_difference=0.0,
        golden=Golden(pictures="0" * 64, probabilities=((0.5, 0.5),)),
        serves=True,
        reason="int8 serves",
    )


def redescribed(version: Version, **fields: object) -> Version:
    """The version with a changed int8 entry in its manifest."""
    assert version.manifest.quantization is not None
    changed = version.manifest.quantization.model_copy(update=fields)
    text = version.manifest.model_copy(update={"quantization": changed}).to_json()
    (version.path / "manifest.json").write_text(text)
    return Version.read(version.number, version.path)


def test_the_int8_graph_is_given_where_it_serves_or_is_asked_for(version: Version) -> None:
    graph = Int8Graph.of(version.path / INT8_GRAPH)

    assert version.network().int8 == version.network("int8").int8 == graph
    assert version.network("f32").int8 is version.network("bf16").int8 is None


def test_of_a_network_in_int8_the_head_alone_can_be_read(version: Version) -> None:
    whole, served = version.network(), version.network(whole=False)

    assert set(served.arrays) == {"predictions/kernel", "predictions/bias"}
    for name, array in served.arrays.items():
        np.testing.assert_array_equal(array, whole.arrays[name])
    assert set(version.network("f32", whole=False).arrays) == set(whole.arrays)


def test_a_graph_that_does_not_serve_is_given_only_where_it_is_asked_for(version: Version) -> None:
    kept_out = redescribed(version, serves=False)

    assert kept_out.network().int8 is None
    assert kept_out.network("int8").int8 is not None


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_damaged_graph_is_done_without_unless_it_was_asked_for(
    version: Version, suffix: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = (version.path / INT8_GRAPH).with_suffix(suffix)
    if harm == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert version.network().int8 is None
    assert "the network is run without it" in caplog.text
    with pytest.raises(BrokenVersion, match=r"int8\.xml (and|or) its \.bin"):
        version.network("int8")


def test_a_graph_of_other_weights_is_not_believed(version: Version) -> None:
    with pytest.raises(BrokenVersion, match="quantization: its graph was made from other weights"):
        redescribed(version, weights="1" * 64)


def test_a_version_without_a_graph_says_how_to_make_one(version: Version, manifest: Manifest) -> None:
    plain = version.manifest.model_copy(update={"quantization": None}).to_json()
    (version.path / "manifest.json").write_text(plain)

    without = Version.read(1, version.path)

    assert without.network().int8 is None
    with pytest.raises(BrokenVersion, match="python -m training quantize"):
        without.network("int8")


def test_int8_is_run_where_there_is_a_graph_and_the_processor_can(version: Version) -> None:
    network = version.network()
    can = "INT8" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    assert precision_of(network) == ("int8" if can else precision_of(version.network("f32")))
    assert precision_of(network, "f32") == "f32"
    with pytest.raises(ValueError, match="no int8 graph"):
        OpenVINOEngine(Network(network.architecture, network.arrays), "int8")


def test_the_sha256_is_of_both_files(version: Version, tmp_path: Path) -> None:
    for suffix in (".xml", ".bin"):
        content = (version.path / INT8_GRAPH).with_suffix(suffix).read_bytes()
        (tmp_path / INT8_GRAPH).with_suffix(suffix).write_bytes(content)
    before = Int8Graph.of(tmp_path / INT8_GRAPH).sha256
    assert before == Int8Graph.of(version.path / INT8_GRAPH).sha256

    (tmp_path / INT8_GRAPH).with_suffix(".bin").write_bytes(b"other")

    assert Int8Graph.of(tmp_path / INT8_GRAPH).sha256 != before
