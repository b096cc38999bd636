"""Adds an int8 graph to a published version."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from catdog.errors import DatasetError
from catdog.network.architecture import Int8Graph, Network
from catdog.system import durable
from catdog.versions.store import Store, Version
from catdog.versions.version import INT8_GRAPH
from training.data import dataset, trained_on
from training.data.dataset import Dataset, Report
from training.data.features import FeatureExtractor
from training.evaluation import champion_comparison, ood
from training.evaluation.champion_comparison import Contender
from training.fitting import quantization
from training.fitting.observer import Observer
from training.publishing.candidate import Candidate, Training, measured, outputs
from training.publishing.pipeline import Outcome, Promote, promote
from training.publishing.publish import publish


def quantize(
    version: Version, data: Path, command: str, asked: Promote, store: Store, data_dir: Path, observer: Observer
) -> Outcome:
    """Publish the version's weights with a graph calibrated on the training photos of `data`, measured on its others.

    DatasetError if `data` has other classes, QuantizationFailed if NNCF can't make the graph.
    """
    photos = photos_of(version, data, observer.skipped)
    extractor = FeatureExtractor(data_dir / "features", observer.skipped)
    with durable.scratch(data_dir / "graphs", ".making-") as folder:
        observer.phase("quantizing")
        network = version.network("f32")
        some = quantization.draw(photos.splits["train"], version.manifest.lineage.seed)
        quantization.write(network, some, folder / INT8_GRAPH)
        observer.phase("measuring")
        candidate = _measured(version, network, Int8Graph.of(folder / INT8_GRAPH), photos, extractor, observer)
        decision = champion_comparison.judge(candidate.contender, candidate.dataset, store, extractor)
        observer.phase("publishing")
        origin = version.manifest.lineage.model_copy(update={"command": command, "parent": version.number, "job": None})
        published = publish(store, candidate, extractor, origin, decision, nullcontext)
    return promote(asked, store, published, decision, nullcontext)


def photos_of(version: Version, data: Path, report: Report) -> Dataset:
    """The photos of `data`, split as for the version's training; DatasetError if they have other classes."""
    lineage, classes = version.manifest.lineage, version.manifest.classes
    photos = dataset.read_as(lineage, data, report)
    if photos.classes != classes:
        raise DatasetError(
            f"{data} has the classes {', '.join(photos.classes)}, but version {version.number} has {', '.join(classes)}"
        )
    return photos


def training_of(version: Version, network: Network, photos: Dataset, extractor: FeatureExtractor) -> Training:
    """The network's output for some training photos, which the convolutions of a head were not trained on."""
    lineage = version.manifest.lineage
    some = quantization.draw(photos.splits["train"], lineage.seed, ood.MOST)
    return Training(lambda: extractor.look(some, network), are_new=lineage.strategy == "head")


def _measured(
    version: Version,
    network: Network,
    int8: Int8Graph,
    photos: Dataset,
    extractor: FeatureExtractor,
    observer: Observer,
) -> Candidate:
    """Measure with the version's own temperature, in the precision that serves."""
    record = trained_on.read(version.path)

    def candidate(network: Network, photos: Dataset) -> Candidate:
        said = outputs(network, photos, extractor)
        contender = Contender(network, version.manifest.calibration, version.detector(), record)
        training = training_of(version, network, photos, extractor)
        return measured(contender, photos, said, training)

    in_int8 = candidate(replace(network, int8=int8), photos)
    compared = in_int8.compared(int8, extractor)
    return replace(in_int8 if compared.serves else candidate(network, in_int8.dataset), int8=compared)
