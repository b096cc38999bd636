"""When the shipped version calls a photo unknown: set anew, from photos that can't be shipped with it."""

from dataclasses import replace
from pathlib import Path

from catdog import durable
from catdog.errors import DatasetError
from catdog.manifest import Manifest, Unknown
from catdog.store import SHIPPED, Store
from catdog.unknown import FILE
from catdog.version import MANIFEST
from training import unknown
from training.candidate import measured, outputs
from training.dataset import Report
from training.gate import Contender
from training.requantize import photos_of, training_of


def familiarize(store: Store, data: Path, neither: Path | None, cache: Path, report: Report) -> Unknown:
    """Put into its manifest what the validation photos of `data` say, and how it does on photos of neither class.

    In place, as `python -m training remember` does: it is done before the version ships. DatasetError where `data` is
    of other classes, or most of its photos have no feature.
    """
    shipped = store.open(SHIPPED)
    # Without what it had: that is set once more, also where its file is gone.
    version = replace(shipped, manifest=shipped.manifest.model_copy(update={"unknown": None}))
    contender, photos = Contender.of(version), photos_of(version, data, report)
    training = training_of(version, contender.network, photos, cache, report)
    said = outputs(contender.network, photos, cache, report)
    candidate = measured(contender, photos, said, training)
    if neither is not None:
        candidate = candidate.beside(unknown.photos_of_neither(neither, report), cache, report)
    if (detector := candidate.contender.detector) is None:
        raise DatasetError(f"the network makes nothing of the photos in {data}")
    found = {"unknown": detector.known, "histograms": candidate.histograms}
    described = version.manifest.model_copy(update=found).to_json()
    if detector.bank is not None:
        (version.path / FILE).write_bytes(detector.bank.encoded())
    durable.replace_text(version.path / MANIFEST, Manifest.from_json(described).to_json())
    return detector.known
