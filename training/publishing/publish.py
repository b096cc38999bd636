"""Writes a version to the store: a candidate, or a copy of another version with some files replaced."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from catdog.engines.engine import Precision
from catdog.images import FINGERPRINT
from catdog.network import weights
from catdog.network.architecture import Network
from catdog.versions import golden, ood
from catdog.versions.manifest import Decision, Golden, Lineage, Manifest, Quantization, WeightsFile
from catdog.versions.store import Draft, Store, Version, Within
from catdog.versions.version import MANIFEST
from training.data import trained_on
from training.data.features import FeatureExtractor
from training.evaluation import metrics, report
from training.publishing.candidate import Candidate


def publish(
    store: Store, candidate: Candidate, extractor: FeatureExtractor, origin: Lineage, decision: Decision, within: Within
) -> Version:
    """Publish the candidate, including its int8 graph if it has one, even if that doesn't serve."""
    network, (temperature, noise) = candidate.contender.network, candidate.contender.calibration
    architecture = network.architecture
    answers = _answers(network, temperature, "f32", extractor)
    speed = metrics.speed(extractor.engine(network))
    with store.draft() as draft:
        file = _add_weights(draft, network, is_sharded=_has_a_shared_backbone(network, origin))
        quantization = _add_int8(draft, candidate, file, extractor)
        _write_report(draft, candidate)
        trained_on.write(draft.path / trained_on.FILE, candidate.contender.trained_on)
        if (detector := candidate.contender.detector) is not None and detector.bank is not None:
            (draft.path / ood.FILE).write_bytes(detector.bank.encoded())
        return draft.publish(
            lambda number: Manifest(
                version=number,
                created=datetime.now(UTC),
                classes=candidate.dataset.classes,
                width=architecture.width,
                channels=architecture.channels,
                head=architecture.head,
                preprocessing=FINGERPRINT,
                weights=file,
                temperature=temperature,
                noise=noise,
                metrics={split: part.metrics for split, part in candidate.measured.items()},
                lineage=origin,
                decision=decision,
                golden=answers,
                quantization=quantization,
                unquantized=candidate.unquantized,
                unknown=candidate.unknown,
                speed=speed,
                histograms=candidate.histograms,
            ),
            within,
        )


def _has_a_shared_backbone(network: Network, origin: Lineage) -> bool:
    """Whether other versions share the convolutions, or may in the future."""
    return network.architecture.head == "pooled" and origin.strategy == "head" and origin.backbone != "random"


def _add_weights(draft: Draft, network: Network, is_sharded: bool) -> WeightsFile:
    path = draft.path / weights.INDEX if is_sharded else draft.weights_path
    dtype = weights.smallest(network.arrays.values())
    for name, content in weights.packed(path, network.architecture, network.arrays, dtype).items():
        draft.put(name, content)
    return WeightsFile.of(path, dtype)


def _add_int8(
    draft: Draft, candidate: Candidate, file: WeightsFile, extractor: FeatureExtractor
) -> Quantization | None:
    """Put the graph next to the weights, and describe it."""
    compared, contender = candidate.int8, candidate.contender
    if compared is None:
        return None
    for made in (compared.graph.path.with_suffix(suffix) for suffix in (".xml", ".bin")):
        draft.put(made.name, memoryview(made.read_bytes()), made)
    network = Network(contender.network.architecture, contender.network.arrays, compared.graph)
    return compared.described(file.sha256, _answers(network, contender.calibration.temperature, "int8", extractor))


def _answers(network: Network, temperature: float, precision: Precision, extractor: FeatureExtractor) -> Golden:
    pooled = network.architecture.head == "pooled"
    known = extractor.of_golden_pictures(network, precision) if pooled else None
    return golden.record(network, temperature, precision, known)


def _write_report(draft: Draft, candidate: Candidate) -> None:
    """Write the report on the test photos, because nothing was chosen by them; without any, on another split."""
    shown = candidate.measured.get("test") or next(iter(candidate.measured.values()))
    report.write(draft.path / "report", candidate.history, candidate.dataset.classes, *shown)


def amended(
    store: Store,
    version: Version,
    command: str,
    files: Mapping[str, Callable[[Path], None]],
    fields: Mapping[str, object],
) -> Version:
    """A new version like `version`, because versions never change; unchanged files share their disk space with it.

    `files` are functions by file name, each of which writes its file to a path; `fields` are of the manifest.
    """
    with store.draft() as draft:
        for path in sorted(path for path in version.path.rglob("*") if path.is_file()):
            name = path.relative_to(version.path).as_posix()
            if name != MANIFEST and name not in files:
                (draft.path / name).parent.mkdir(exist_ok=True)
                draft.put(name, memoryview(path.read_bytes()), path)
        for name, write in files.items():
            write(draft.path / name)
        lineage = version.manifest.lineage.model_copy(update={"command": command, "parent": version.number})

        def describe(number: int) -> Manifest:
            changed = {"version": number, "created": datetime.now(UTC), "lineage": lineage, "decision": None}
            return version.manifest.model_copy(update={**fields, **changed})

        return draft.publish(describe)
