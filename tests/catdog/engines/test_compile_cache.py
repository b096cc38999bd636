"""OpenVINO's cache of compiled networks."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catdog.engines.engine import Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Architecture, Network
from catdog.versions.store import SHIPPED, Store
from tests.catdog.engines.test_engines import close
from tests.networks import random_arrays, random_pixels
from tests.places import ROOT

ARCHITECTURE = Architecture(2, width=1 / 32)
NETWORK = Network(ARCHITECTURE, random_arrays(ARCHITECTURE))
PIXELS = random_pixels(3)

# A process that compiles NETWORK for the cache that it is given when it is told to.
COMPILE = """
import sys
from pathlib import Path
from tests.catdog.engines.test_compile_cache import NETWORK, PIXELS, OpenVINOEngine

print("waits", flush=True)
sys.stdin.readline()
print(OpenVINOEngine(NETWORK, "f32", cache=Path(sys.argv[1])).infer(PIXELS).logits.tobytes().hex())
"""


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("streams", [1, 2])
def test_what_was_compiled_is_taken_from_the_cache_and_says_the_same(
    tmp_path: Path, precision: Precision, streams: int
) -> None:
    expected = OpenVINOEngine(NETWORK, precision).infer(PIXELS)

    first, second = (OpenVINOEngine(NETWORK, precision, streams=streams, cache=tmp_path / "a" / "b") for _ in range(2))

    assert (first.was_cached, second.was_cached) == (False, True)
    for engine in (first, second):
        assert np.array_equal(engine.infer(PIXELS).logits, expected.logits)
        assert close(engine.infer(PIXELS, shared=True).logits, expected.logits, 1e-5 if precision == "f32" else 0.1)


def test_an_int8_graph_is_compiled_once_as_well(tmp_path: Path) -> None:
    network = Store(ROOT / "models").open(SHIPPED).network("int8")

    first, second = (OpenVINOEngine(network, "int8", streams=2, cache=tmp_path) for _ in range(2))

    assert (first.was_cached, second.was_cached) == (False, True)
    assert np.array_equal(first.infer(PIXELS).logits, second.infer(PIXELS).logits)


def test_another_network_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    OpenVINOEngine(NETWORK, cache=tmp_path)
    nearly = {name: array.copy() for name, array in NETWORK.arrays.items()}
    nearly["block3_conv2/kernel"][1, 1, 2, 3] += 1

    engine = OpenVINOEngine(Network(NETWORK.architecture, nearly), "f32", cache=tmp_path)

    assert not engine.was_cached
    assert not np.array_equal(engine.infer(PIXELS).features, OpenVINOEngine(NETWORK, "f32").infer(PIXELS).features)


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: blob[:10],
        lambda blob: blob[: len(blob) // 2],
        lambda blob: bytes(len(blob)),
        lambda blob: bytes(64) + blob[64:],
        lambda blob: blob[:-300] + bytes(300),
    ],
    ids=["empty", "a few bytes", "half", "zeros", "another beginning", "another end"],
)
def test_what_is_damaged_in_the_cache_is_compiled_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    expected = OpenVINOEngine(NETWORK, "f32", cache=tmp_path).infer(PIXELS)
    (blob,) = tmp_path.glob("*.blob")
    blob.write_bytes(damage(blob.read_bytes()))

    repaired, after = (OpenVINOEngine(NETWORK, "f32", cache=tmp_path) for _ in range(2))

    assert (repaired.was_cached, after.was_cached) == (False, True)
    assert np.array_equal(repaired.infer(PIXELS).logits, expected.logits)
    assert np.array_equal(after.infer(PIXELS).logits, expected.logits)


@pytest.mark.parametrize("below", ["", "below"])
def test_without_a_folder_for_the_cache_the_engine_works_and_says_so(
    tmp_path: Path, below: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    engine = OpenVINOEngine(NETWORK, "f32", cache=tmp_path / "file" / below)

    assert np.array_equal(engine.infer(PIXELS).logits, OpenVINOEngine(NETWORK, "f32").infer(PIXELS).logits)
    assert "aren't cached" in caplog.text
    assert str(tmp_path / "file") in caplog.text


def test_where_nothing_can_be_written_the_engine_works(tmp_path: Path) -> None:
    expected = OpenVINOEngine(NETWORK, "f32", cache=tmp_path).infer(PIXELS)
    (blob,) = tmp_path.glob("*.blob")
    blob.unlink()
    blob.mkdir()  # which stops root, too

    engine = OpenVINOEngine(NETWORK, "f32", cache=tmp_path)

    assert not engine.was_cached
    assert np.array_equal(engine.infer(PIXELS).logits, expected.logits)


@pytest.mark.whole
def test_several_processes_may_compile_into_one_cache_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMPILE, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert answers == [OpenVINOEngine(NETWORK, "f32").infer(PIXELS).logits.tobytes().hex()] * 2
