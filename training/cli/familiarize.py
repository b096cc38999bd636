"""Fits the out-of-distribution threshold of the shipped version again, in a new version."""

from dataclasses import replace
from pathlib import Path

from catdog.errors import DatasetError
from catdog.versions.ood import FILE
from catdog.versions.store import SHIPPED, Store, Version
from training.data.features import FeatureExtractor
from training.evaluation import ood
from training.evaluation.champion_comparison import Contender
from training.publishing.candidate import measured, outputs
from training.publishing.publish import amended
from training.publishing.requantize import photos_of, training_of


def familiarize(store: Store, data: Path, neither: Path | None, command: str, extractor: FeatureExtractor) -> Version:
    """A copy of the shipped version whose threshold is set by the validation photos of `data`.

    `neither` are photos of none of the classes, to measure it on. DatasetError if `data` has other classes, or if the
    features of most of its photos are zero.
    """
    shipped = store.open(SHIPPED)
    # Ignore the existing detector: it is fitted again, even if its file is missing.
    version = replace(shipped, manifest=shipped.manifest.model_copy(update={"unknown": None}))
    contender, photos = Contender.of(version), photos_of(version, data, extractor.report)
    training = training_of(version, contender.network, photos, extractor)
    candidate = measured(contender, photos, outputs(contender.network, photos, extractor), training)
    if neither is not None:
        candidate = candidate.measured_on(ood.photos_of_neither(neither, extractor.report), extractor)
    if (detector := candidate.contender.detector) is None or (bank := detector.bank) is None:
        raise DatasetError(
            f"no threshold can be fitted on {data}: the features of most photos are zero; use other photos"
        )

    def write(path: Path) -> None:
        path.write_bytes(bank.encoded())

    fields = {"unknown": detector.known, "histograms": candidate.histograms}
    return amended(store, shipped, command, {FILE: write}, fields)
