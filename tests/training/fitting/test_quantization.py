import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nncf
import numpy as np
import pytest

from catdog.engines.engine import Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import DatasetError
from catdog.jobs.interruptions import Interrupted, Reason
from catdog.network.architecture import Architecture, Head, Network
from catdog.versions.calibration import Calibration
from catdog.versions.measurements import Measured
from tests.networks import random_arrays
from tests.places import ROOT
from training.data import dataset
from training.data.dataset import Photo
from training.data.features import FeatureExtractor, Seen
from training.data.pixels import decode
from training.evaluation import paired_sample
from training.fitting import quantization
from training.fitting.quantization import QuantizationFailed

PRECISIONS: tuple[Precision, ...] = ("int8", "f32")


def network(head: Head = "pooled", seed: int = 0) -> Network:
    architecture = Architecture(2, 1 / 32, head)
    return Network(architecture, random_arrays(architecture, seed))


def unexpected(photo: Photo, error: Exception) -> None:
    raise error


def fail(*_: object, **__: object) -> None:
    raise nncf.InternalError("no such operation")


@pytest.fixture(scope="module")
def photos(split_photos: Path) -> tuple[Photo, ...]:
    return dataset.read(split_photos).splits["train"]


@pytest.mark.parametrize("head", ["pooled", "classic"])
def test_a_graph_says_nearly_what_its_network_says(head: Head, photos: tuple[Photo, ...], tmp_path: Path) -> None:
    whole = network(head)
    graph = quantization.graph(whole, photos, 0, tmp_path)
    _, pixels = decode(photos, unexpected)

    expected = OpenVINOEngine(whole, "f32").infer(pixels)
    found = OpenVINOEngine(Network(whole.architecture, whole.arrays, graph), "int8").infer(pixels)

    for one, other in zip(found, expected, strict=True):
        assert 0.95 < np.corrcoef(one.ravel(), other.ravel())[0, 1] < 1


def test_a_graph_is_made_once_for_a_backbone_whatever_the_head(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = network()
    first = quantization.graph(whole, photos, 0, tmp_path)
    monkeypatch.setattr(nncf, "quantize", fail)
    other_head = Network(whole.architecture, {**whole.arrays, "predictions/bias": np.ones(2, np.float32)})

    assert quantization.graph(other_head, photos[:4], 1, tmp_path) == first
    with pytest.raises(QuantizationFailed):
        quantization.graph(network(seed=1), photos, 0, tmp_path)


def test_the_same_photos_give_the_same_file_and_it_says_how_many_they_were(
    photos: tuple[Photo, ...], tmp_path: Path
) -> None:
    one, other = (quantization.graph(network(), photos, 0, tmp_path / name) for name in "ab")

    assert one.sha256 == other.sha256
    assert quantization.calibration_photos(one) == 32


def test_nothing_is_printed_on_the_way(
    photos: tuple[Photo, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quantization.graph(network(), photos, 0, tmp_path)

    assert capfd.readouterr() == ("", "")


def test_nobody_is_told_that_a_graph_was_made() -> None:
    """In a process without pytest, because NNCF disables its telemetry under pytest."""
    script = """
import numpy as np
from catdog.network.architecture import Architecture
from catdog.network.architecture import Network
from tests.networks import random_arrays
from training.fitting import quantization
tiny = Architecture(2, 1 / 32)
quantization._quantized(Network(tiny, random_arrays(tiny)), np.zeros((1, 224, 224, 3), np.uint8))
from nncf.telemetry import wrapper
print(type(wrapper.telemetry).__name__)
"""
    environment = {name: value for name, value in os.environ.items() if name != "NNCF_CI"}

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True, env=environment, cwd=ROOT
    )

    assert done.stdout == "MagicMock\n"


def test_photos_are_drawn_evenly_over_the_classes() -> None:
    photos = [Photo(Path(), int(number >= 20), str(number), "") for number in range(100)]

    assert sorted(quantization.draw(photos, 0), key=lambda photo: int(photo.sha256)) == photos
    assert Counter(photo.label for photo in quantization.draw(photos, 0, 30)) == {0: 15, 1: 15}
    assert quantization.draw(photos, 0, 30) == quantization.draw(photos, 0, 30) != quantization.draw(photos, 1, 30)
    assert Counter(photo.label for photo in quantization.draw(photos, 0, 60)) == {0: 20, 1: 40}


def test_broken_photos_are_left_out(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    broken = Photo(tmp_path / "broken.jpg", 0, "0" * 64, "broken.jpg")

    graph = quantization.graph(network(), (broken, *photos[:3]), 0, tmp_path / "graphs")

    assert quantization.calibration_photos(graph) == 3
    with pytest.raises(DatasetError, match="none of the 1 photos"):
        quantization.graph(network(seed=1), [broken], 0, tmp_path / "graphs")


def test_what_nncf_cannot_do_is_said_and_leaves_nothing(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nncf, "quantize", fail)

    with pytest.raises(QuantizationFailed, match="NNCF can't make an int8 graph: no such operation"):
        quantization.graph(network(), photos, 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_an_interruption_is_no_failure_of_nncf(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Interrupted(Reason.CANCELLED)

    monkeypatch.setattr(nncf, "quantize", stop)

    with pytest.raises(Interrupted):
        quantization.graph(network(), photos, 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_both_are_measured_on_the_same_photos(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    whole = network()
    graph = quantization.graph(whole, photos, 0, tmp_path / "graphs")

    found = quantization.compare(
        Network(whole.architecture, whole.arrays, graph),
        Calibration(5.0),
        photos[::2],
        FeatureExtractor(tmp_path, unexpected),
    )

    assert (found.photos, found.graph) == (16, graph)
    assert 0 < found.largest_difference < 0.1
    assert found.f32.log_loss != found.int8.log_loss
    assert found.f32.log_loss == pytest.approx(found.int8.log_loss, abs=0.1)


@pytest.mark.parametrize(
    ("accuracy", "log_loss", "serves"),
    [
        (0.980, 0.05, True),
        (0.978, 0.06, True),
        (0.9779, 0.05, False),
        (0.980, 0.0601, False),
        (0.99, 0.04, True),
        (0.9, 1.0, False),
    ],
)
def test_int8_serves_where_it_loses_no_more_than_may_be_lost(accuracy: float, log_loss: float, serves: bool) -> None:
    found, reason = quantization.rule(
        Measured(accuracy=0.98, log_loss=0.05), Measured(accuracy=accuracy, log_loss=log_loss), 1000
    )

    assert found == serves
    assert reason.startswith("int8 serves: " if serves else "int8 does not serve, because it loses more than ")
    assert f"accuracy {accuracy:.2%} against 98.00% in float32" in reason
    assert "on 1,000 photos" in reason


def test_float32_looks_at_as_many_photos_as_settle_it(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired_sample, "WORST", 3)
    monkeypatch.setattr(paired_sample, "SPREAD", (5,))
    whole = network()
    whole = replace(whole, int8=quantization.graph(whole, photos, 0, tmp_path / "graphs"))
    said, other = (
        FeatureExtractor(tmp_path, unexpected).outputs(photos, whole, precision).output.logits.argmax(axis=1)
        for precision in PRECISIONS
    )
    right = [
        replace(photo, label=int(said[place])) for place, photo in enumerate(photos) if said[place] == other[place]
    ]
    looked = Recording(monkeypatch)

    clear = quantization.compare(whole, Calibration(1000.0), right, FeatureExtractor(tmp_path, unexpected))

    assert (clear.photos, clear.photos_f32, looked.at("f32")) == (len(right), 8, [8])
    assert f"on {len(right)} photos, float32 on 8 of them" in clear.reason
    assert clear.f32.log_loss == pytest.approx(clear.int8.log_loss, abs=1e-3)


class Recording:
    """Records the number of photos computed in each precision."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asked: list[tuple[str, int]] = []
        outputs = FeatureExtractor.outputs

        def record(
            extractor: FeatureExtractor, photos: Sequence[Photo], network: Network, precision: Precision
        ) -> Seen:
            self._asked.append((precision, len(photos)))
            return outputs(extractor, photos, network, precision)

        monkeypatch.setattr(FeatureExtractor, "outputs", record)

    def at(self, precision: Precision) -> list[int]:
        return [photos for asked, photos in self._asked if asked == precision]
