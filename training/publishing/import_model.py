"""Publishes a network that was trained elsewhere: measured, calibrated and judged like any other."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from catdog.errors import DatasetError, RecipeError
from catdog.features import libraries
from catdog.names import checked_label
from catdog.network.architecture import Network
from catdog.system.durable import sha256_of
from catdog.system.resources import usable_cores
from catdog.versions.manifest import Dataset as Described
from catdog.versions.manifest import Lineage
from catdog.versions.store import Store
from training.data import dataset
from training.data.dataset import Dataset, labels
from training.data.features import FeatureExtractor, Seen
from training.data.trained_on import TrainedOn
from training.evaluation import champion_comparison, ood, temperature_scaling
from training.evaluation.champion_comparison import Contender
from training.fitting import quantization
from training.fitting.observer import Observer
from training.fitting.quantization import QuantizationFailed
from training.importing import foreign
from training.publishing.candidate import Candidate, Training, measured, outputs
from training.publishing.lineage import LIBRARIES, processor
from training.publishing.pipeline import Outcome, Promote, promote
from training.publishing.publish import publish

SEED = 0  # of the split of the photos, and of the photos that calibrate int8


@dataclass(frozen=True)
class Import:
    """A file of weights, its classes in the order of its answers, and photos of them to measure it on."""

    file: Path
    classes: Sequence[str]
    data: Path
    command: str
    promote: Promote = "auto"


def import_model(asked: Import, store: Store, data_dir: Path, observer: Observer) -> Outcome:
    """Publish the network in the file; WeightsError, DatasetError, RecipeError, and then nothing is published."""
    started = monotonic()
    classes = _checked(asked.classes)
    found = foreign.in_order(foreign.read(asked.file, len(classes)), classes)
    photos = dataset.read(asked.data, SEED, report=observer.skipped)
    if photos.classes != tuple(sorted(classes)):
        raise DatasetError(
            f"{asked.data} has the classes {', '.join(photos.classes)}, but the model has {', '.join(classes)}"
        )
    network = Network(found.architecture, found.arrays)
    extractor = FeatureExtractor(data_dir / "features", observer.skipped)
    candidate = _candidate(network, photos, extractor, data_dir / "graphs", observer)
    decision = champion_comparison.judge(candidate.contender, candidate.dataset, store, extractor)
    observer.phase("publishing")
    origin = _lineage(asked, candidate.dataset, monotonic() - started)
    version = publish(store, candidate, extractor, origin, decision, nullcontext)
    return promote(asked.promote, store, version, decision, nullcontext)


def read_classes(text: str) -> tuple[str, ...]:
    """The classes from a text like `cat,dog`, or from a file with one in each line; RecipeError."""
    if Path(text).is_file():
        try:
            lines = Path(text).read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise RecipeError(f"{text} is not a text file in UTF-8: {error}") from error
        return tuple(line.strip() for line in lines if line.strip())
    return tuple(name.strip() for name in text.split(","))


def _checked(classes: Sequence[str]) -> tuple[str, ...]:
    checked = tuple(checked_label(name) for name in classes)
    if len(checked) < 2 or len(set(checked)) < len(checked):
        raise RecipeError(
            f"--classes names {', '.join(checked)}: name at least two classes, each once, in the order of the model's"
            " answers"
        )
    return checked


def _candidate(
    network: Network, photos: Dataset, extractor: FeatureExtractor, graphs: Path, observer: Observer
) -> Candidate:
    """Calibrate and measure: in int8 if that stays within its limits, else in float32."""
    observer.phase("quantizing")
    try:
        graph = quantization.graph(network, photos.splits["train"], SEED, graphs)
    except QuantizationFailed as error:
        observer.phase("measuring")
        return replace(_measured(network, photos, extractor), unquantized=str(error))
    observer.phase("measuring")
    in_int8 = _measured(replace(network, int8=graph), photos, extractor)
    compared = in_int8.compared(graph, extractor)
    return replace(in_int8 if compared.serves else _measured(network, in_int8.dataset, extractor), int8=compared)


def _measured(network: Network, photos: Dataset, extractor: FeatureExtractor) -> Candidate:
    """The network knows none of the photos, so that validation photos, or else training photos, calibrate it."""
    said = outputs(network, photos, extractor)
    seen = said.get("validation") or said["train"]
    calibration = temperature_scaling.fit(seen.output.logits, labels(seen.photos))
    contender = Contender(network, calibration, None, TrainedOn.nothing(is_complete=False))

    def look() -> Seen:
        return extractor.look(quantization.draw(photos.splits["train"], SEED, ood.MOST), network)

    return measured(contender, photos, said, Training(look, are_new=True))


def _lineage(asked: Import, photos: Dataset, seconds: float) -> Lineage:
    """The record of a network that was trained elsewhere: every layer, in a way that isn't known."""
    cores = usable_cores()
    return Lineage(
        command=asked.command,
        recipe=None,
        strategy="full",
        backbone="import",
        parent=None,
        dataset=Described(fingerprint=photos.fingerprint, photos=photos.counts()),
        seed=SEED,
        seconds=round(seconds, 1),
        hardware=f"{cores} core{'' if cores == 1 else 's'} of {processor()}",
        libraries=libraries(LIBRARIES),
        notes=f"imported from {asked.file.name}, sha256 {sha256_of(asked.file)}; it was not trained on these photos",
    )
