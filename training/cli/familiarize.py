"""Sets the out-of-distribution threshold of the shipped version from photos not shipped."""

from dataclasses import replace
from pathlib import Path

from catdog.errors import DatasetError
from catdog.system import durable
from catdog.versions.manifest import Manifest, Unknown
from catdog.versions.ood import FILE
from catdog.versions.store import SHIPPED, Store
from catdog.versions.version import MANIFEST
from training.data.features import FeatureExtractor
from training.evaluation import ood
from training.evaluation.champion_comparison import Contender
from training.publishing.candidate import measured, outputs
from training.publishing.requantize import photos_of, training_of


def familiarize(store: Store, data: Path, neither: Path | None, extractor: FeatureExtractor) -> Unknown:
    """Put into its manifest what the validation photos of `data` say, and how it does on photos of neither class.

    In place, as `python -m training remember` does: it is done before the version ships. DatasetError where `data` is
    of other classes, or most of its photos have no feature.
    """
    shipped = store.open(SHIPPED)
    # Without what it had: that is set once more, also where its file is gone.
    version = replace(shipped, manifest=shipped.manifest.model_copy(update={"unknown": None}))
    contender, photos = Contender.of(version), photos_of(version, data, extractor.report)
    training = training_of(version, contender.network, photos, extractor)
    said = outputs(contender.network, photos, extractor)
    candidate = measured(contender, photos, said, training)
    if neither is not None:
        candidate = candidate.beside(ood.photos_of_neither(neither, extractor.report), extractor)
    if (detector := candidate.contender.detector) is None:
        raise DatasetError(f"the network makes nothing of the photos in {data}")
    found = {"unknown": detector.known, "histograms": candidate.histograms}
    described = version.manifest.model_copy(update=found).to_json()
    if detector.bank is not None:
        (version.path / FILE).write_bytes(detector.bank.encoded())
    durable.replace_text(version.path / MANIFEST, Manifest.from_json(described).to_json())
    return detector.known
