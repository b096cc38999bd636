"""Quantizes a network to int8 with NNCF, and decides whether int8 may serve.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
"""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from io import StringIO
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from catdog.engines.engine import Precision
from catdog.engines.openvino import build
from catdog.errors import CatdogError, DatasetError
from catdog.features import fingerprint, libraries
from catdog.network.architecture import Int8Graph, Network
from catdog.system import durable, signal_stack
from catdog.versions.calibration import Calibration
from catdog.versions.manifest import Golden, Quantization
from catdog.versions.measurements import Measured
from catdog.versions.version import INT8_GRAPH
from training.data.dataset import Photo, labels
from training.data.features import FeatureExtractor
from training.data.pixels import decode
from training.evaluation import paired_sample
from training.evaluation.metrics import measure

PHOTOS = 300  # largest number of calibration photos, which set the ranges of the activations
ACCURACY = 0.002  # largest allowed loss
LOG_LOSS = 0.01  # largest allowed increase, nats per photo
ROUNDING = 1e-9  # 0.98 - 0.978 is more than 0.002 in floating point
COUNT = ["catdog", "calibration_photos"]  # where a graph stores the number of its calibration photos


class QuantizationFailed(CatdogError):
    """NNCF can't make the graph; `reason` is its message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"NNCF can't make an int8 graph: {reason}")


@dataclass(frozen=True)
class Comparison:
    """A network's int8 graph evaluated on `photos` photos, and float32 on a sample of `photos_f32` of them."""

    graph: Int8Graph
    photos: int
    photos_f32: int
    f32: Measured
    int8: Measured
    largest_difference: float
    serves: bool
    reason: str

    def kept_out(self, fitted: "Comparison") -> "Comparison":
        """The result if float32 serves, because the network `fitted` for int8 had lost too much."""
        reason = f"{fitted.reason}, with head and temperature fitted for int8" if self.serves else self.reason
        return replace(self, serves=False, reason=reason)

    def described(self, weights: str, golden: Golden) -> Quantization:
        """The manifest entry for the version with the weights of this sha256 and these golden int8 answers."""
        return Quantization(
            weights=weights,
            graph=self.graph.sha256,
            calibration_photos=calibration_photos(self.graph),
            photos=self.photos,
            photos_f32=self.photos_f32,
            f32=self.f32,
            int8=self.int8,
            largest_difference=self.largest_difference,
            golden=golden,
            serves=self.serves,
            reason=self.reason,
        )


def graph(network: Network, photos: Sequence[Photo], seed: int, folder: Path) -> Int8Graph:
    """The network's int8 graph, calibrated on some of the training `photos`; cached in `folder`.

    With the pooled head it contains only the backbone, so all heads share it. QuantizationFailed if NNCF can't make it.
    """
    place = folder / _fingerprint(network)
    if not place.exists():
        with durable.scratch(folder, ".making-") as aside:
            write(network, draw(photos, seed), aside / INT8_GRAPH)
            durable.sync_tree(aside)
            with suppress(OSError):  # another process was faster
                aside.rename(place)
    return Int8Graph.of(place / INT8_GRAPH)


def draw(photos: Sequence[Photo], seed: int, most: int = PHOTOS) -> tuple[Photo, ...]:
    """At most `most` of the photos, drawn with equal numbers of every class as far as possible."""
    by_class = defaultdict(list)
    for place in np.random.default_rng(seed).permutation(len(photos)):
        by_class[photos[place].label].append(photos[place])
    in_turn = chain.from_iterable(zip_longest(*by_class.values()))
    return tuple(islice((photo for photo in in_turn if photo is not None), most))


def write(network: Network, photos: Sequence[Photo], path: Path) -> None:
    """Write the .xml and .bin of a graph calibrated on these photos; the same input gives the same bytes.

    QuantizationFailed if NNCF fails, OSError if the disk is full.
    """
    readable, pixels = decode(photos, lambda *_: None)  # broken photos are reported when the training reads them
    if not readable:
        raise DatasetError(f"none of the {len(photos)} photos can be read")
    model = _quantized(network, pixels)
    for place, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{place}")  # OpenVINO's own numbers continue from graph to graph
    model.set_rt_info(len(readable), COUNT)
    try:
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"the int8 graph can't be written to {path} ({error}); free disk space") from error


def calibration_photos(graph: Int8Graph) -> int:
    """The number of photos that a graph was calibrated on."""
    return int(ov.Core().read_model(graph.path).get_rt_info(COUNT).astype(int))


def compare(
    network: Network, calibration: Calibration, photos: Sequence[Photo], extractor: FeatureExtractor
) -> Comparison:
    """Evaluate the network's int8 graph on these photos, and float32 on as many as are needed to decide."""
    assert network.int8 is not None  # noqa: S101  # the caller ensures it

    def answers(photos: Sequence[Photo], precision: Precision) -> NDArray[np.float64]:
        said = extractor.outputs(photos, network, precision)
        return calibration.probabilities(said.output.logits)

    truth, whole = labels(photos), answers(photos, "int8")
    for sample in paired_sample.samples(truth, whole):
        single = answers([photos[place] for place in sample.places], "f32")
        lost = paired_sample.lost(sample, truth, single, whole)
        if lost.settles(ACCURACY, LOG_LOSS):
            break
    int8 = _measured(truth, whole)
    f32 = Measured(
        accuracy=min(1.0, max(0.0, int8.accuracy + lost.accuracy)), log_loss=max(0.0, int8.log_loss - lost.log_loss)
    )
    serves, reason = rule(f32, int8, len(photos), len(single))
    return Comparison(network.int8, len(photos), len(single), f32, int8, lost.largest_difference, serves, reason)


def rule(f32: Measured, int8: Measured, photos: int, photos_f32: int | None = None) -> tuple[bool, str]:
    """Whether int8 serves, and why: it may lose at most ACCURACY and LOG_LOSS.

    int8 was measured on `photos` photos, float32 on `photos_f32` of them, None for all.
    """
    lost = [
        limit
        for limit, is_lost in (
            (f"{100 * ACCURACY:g} points of accuracy", f32.accuracy - int8.accuracy > ACCURACY + ROUNDING),
            (f"{LOG_LOSS:g} of log-loss", int8.log_loss - f32.log_loss > LOG_LOSS + ROUNDING),
        )
        if is_lost
    ]
    some = f", float32 on {photos_f32:,} of them" if photos_f32 and photos_f32 < photos else ""
    verdict = f"int8 does not serve, because it loses more than {' and '.join(lost)}" if lost else "int8 serves"
    return not lost, (
        f"{verdict}: accuracy {int8.accuracy:.2%} against {f32.accuracy:.2%} in float32,"
        f" log-loss {int8.log_loss:.4f} against {f32.log_loss:.4f}, on {photos:,} photo{'s' * (photos != 1)}"
        f"{some}"
    )


def _quantized(network: Network, pixels: NDArray[np.uint8]) -> ov.Model:
    os.environ.setdefault("NNCF_CI", "1")  # disables its telemetry; there is no other switch
    try:
        import nncf
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        nncf.disable_logging()
        with (
            signal_stack.kept(),
            nullcontext() if sys.stdout.isatty() else redirect_stdout(StringIO()),
        ):  # it compiles networks, and prints progress bars, even into a file
            return nncf.quantize(
                build(network.architecture, network.arrays),
                nncf.Dataset(pixels[:, np.newaxis]),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(pixels),
                # The widest observed range instead of a mean over the photos, and unchanged biases: decision 9.
                advanced_parameters=AdvancedQuantizationParameters(
                    activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX, disable_bias_correction=True
                ),
            )
    except Exception as error:  # NNCF's exceptions have no common base class, and OpenVINO raises various ones
        raise QuantizationFailed(str(error) or type(error).__name__) from error


def _measured(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Measured:
    classes = [str(label) for label in range(probabilities.shape[1])]
    metrics = measure(truth, probabilities, classes, "")
    return Measured(accuracy=metrics.accuracy, log_loss=metrics.log_loss)


def _fingerprint(network: Network) -> str:
    """sha256 over everything that a graph depends on, except its photos."""
    made_with = libraries(["nncf"])
    return sha256(f"{fingerprint(network, 'f32')} {made_with} {PHOTOS}".encode()).hexdigest()
