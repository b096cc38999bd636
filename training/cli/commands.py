"""The commands of `python -m training` for models and data sets on disk.

Each command imports its libraries when it runs, because some take seconds to import.
"""

import json
import shlex
import sys
from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from catdog.datasets.layout import printable
from catdog.errors import CatdogError, RecipeError
from catdog.network.architecture import BLOCKS, INPUT_PIXELS, POOL_PIXELS, Architecture
from catdog.transfer import archive
from catdog.versions import listing
from catdog.versions.measurements import Neither
from catdog.versions.store import SHIPPED, Store, Version
from training.data.dataset import Photo

if TYPE_CHECKING:
    from training.data.features import FeatureExtractor


Row = tuple[str, str, str]


def download(arguments: Namespace) -> None:
    from training.data.download import download

    print(f"to train on them: python -m training train --data {download(arguments.folder, sha256=arguments.sha256)}")


def train(arguments: Namespace) -> None:
    from training.cli.train_arguments import config_from
    from training.fitting.observer import Terminal
    from training.publishing.pipeline import Request, train

    request = Request(
        config_from(arguments),
        arguments.data,
        command=_command(),
        recipe=arguments.recipe,
        notes=arguments.notes,
        resume=arguments.resume,
        promote=arguments.promote,
        quantize=arguments.quantize,
        neither=arguments.neither or (),
        imagenet_weights=arguments.imagenet_weights,
    )
    outcome = train(request, Store(arguments.models), arguments.data_dir, Terminal())
    _show(outcome.version, outcome.reason, outcome.promoted)


def quantize(arguments: Namespace) -> None:
    from training.fitting.observer import Terminal
    from training.publishing.requantize import quantize

    version, store = _version(arguments), Store(arguments.models)
    command = _command()
    outcome = quantize(version, arguments.data, command, arguments.promote, store, arguments.data_dir, Terminal())
    _show(outcome.version, outcome.reason, outcome.promoted)


def evaluate(arguments: Namespace) -> None:
    from training.data import dataset
    from training.evaluation import ood
    from training.evaluation.metrics import measure, table

    version = _version(arguments)
    manifest = version.manifest
    photos, described = dataset.read_for(
        arguments.data, manifest, arguments.split, _report_broken, dict(arguments.renamed)
    )
    readable, output, _ = _extractor(arguments).outputs(photos, version.network())
    if missing := set(manifest.classes) - {manifest.classes[photo.label] for photo in readable}:
        print(f"no photo of {', '.join(sorted(missing))}: the recall of a class without one is 0", file=sys.stderr)
    probabilities = manifest.calibration.probabilities(output.logits)
    metrics = measure(dataset.labels(readable), probabilities, manifest.classes, described)
    neither = _neither(arguments, version, output.features, described)
    if arguments.json:
        found = metrics.model_dump() | ({} if neither is None else {"neither": neither.model_dump()})
        print(json.dumps(found, indent=2))
    else:
        print(table(metrics), *(() if neither is None else (ood.measurement(neither),)), sep="\n\n")


def remember(arguments: Namespace) -> None:
    """Publish the shipped version with features of test photos; candidates on its backbone are compared on them.

    If `data` holds the photos that it was trained on, the new version also records which these were.
    """
    from catdog.network.weights import backbone_fingerprint
    from training.data import dataset, near_duplicates, trained_on
    from training.evaluation import reference_features
    from training.publishing.publish import amended

    version = Store(arguments.models).open(SHIPPED)
    network = version.network()
    photos, _ = dataset.read_for(arguments.data, version.manifest, report=_report_broken)
    photos, output, thumbnails = _extractor(arguments).outputs(photos, network)
    kept = reference_features.Reference(
        version.manifest.classes,
        backbone_fingerprint(network.architecture, network.arrays),
        tuple(photo.sha256 for photo in photos),
        output.features,
        dataset.labels(photos),
        near_duplicates.hashes(thumbnails),
    )
    files = {reference_features.FILE: partial(reference_features.write, reference=kept)}
    if (record := trained_on.of_folder(version, arguments.data, _report_broken)) is not None:
        files[trained_on.FILE] = partial(trained_on.write, trained_on=record)
    made = amended(Store(arguments.models), version, _command(), files, {})
    print(f"version {made.number} is version {SHIPPED} with the features of {len(photos):,} test photos")
    if record is not None:
        print(f"and with the record of the {len(record.contents):,} photos that it was trained on")


def familiarize(arguments: Namespace) -> None:
    """Publish the shipped version with another out-of-distribution threshold."""
    from training.cli.familiarize import familiarize
    from training.evaluation.ood import described

    store = Store(arguments.models)
    made = familiarize(store, arguments.data, arguments.neither, _command(), _extractor(arguments))
    assert made.manifest.unknown is not None  # noqa: S101  # it is what the command sets
    print(
        f"version {made.number} is version {SHIPPED} with another threshold: promote {made.number} puts it into service"
    )
    print(described(made.manifest.unknown))


def summary(arguments: Namespace) -> None:
    print(layer_table(_version(arguments).manifest.architecture))


def promote(arguments: Namespace) -> None:
    store, asked = Store(arguments.models), arguments.version
    number = asked if isinstance(asked, int) else archive.publish(asked, store).number
    store.promote(number)
    print(f"version {number} is in service")


def rollback(arguments: Namespace) -> None:
    print(f"version {Store(arguments.models).roll_back()} is in service again")


def versions(arguments: Namespace) -> None:
    store = Store(arguments.models)
    for line in listing.lines_of_json(store) if arguments.json else listing.text(store):
        print(line)


def _show(version: Version, reason: str, promoted: bool) -> None:
    """Print the metrics of a published version, and whether it was promoted."""
    from training.data.checks import caution
    from training.evaluation.metrics import table
    from training.evaluation.ood import described

    for metrics in version.manifest.metrics.values():
        print(table(metrics), end="\n\n")
    print(f"version {version.number} is published, with a report in {version.path / 'report'}")
    quantization = version.manifest.quantization
    print(quantization.reason if quantization else f"without an int8 graph: {version.manifest.unquantized}")
    if version.manifest.unknown is not None:
        print(described(version.manifest.unknown))
    if (few := caution(version.manifest.lineage.dataset.photos)) is not None:
        print(few)
    print(reason)
    print(f"version {version.number} is {'' if promoted else 'not '}in service")


def _command() -> str:
    """The command line as typed."""
    return printable(shlex.join(["python", "-m", "training", *sys.argv[1:]]))


def _version(arguments: Namespace) -> Version:
    """The requested version, else the champion."""
    store = Store(arguments.models)
    return store.open(store.champion() if arguments.version is None else arguments.version)


def _neither(arguments: Namespace, version: Version, known: NDArray[np.float32], data: str) -> Neither | None:
    """How well photos of none of the classes are distinguished from these, (n, features); None without such photos."""
    from training.evaluation import ood

    if arguments.neither is None:
        return None
    if (detector := version.detector()) is None:
        again = "python -m training quantize --data DIR"
        raise RecipeError(
            f"version {version.number} has no out-of-distribution detector; to publish it with one: {again}"
        )
    photos = ood.photos_of_neither(arguments.neither, _report_broken)
    others = _extractor(arguments).outputs(photos, version.network()).output.features
    return ood.compare(detector, known, others, data)


def _extractor(arguments: Namespace) -> "FeatureExtractor":
    from training.data.features import FeatureExtractor

    return FeatureExtractor(arguments.data_dir / "features", _report_broken)


def _report_broken(photo: Photo, error: CatdogError) -> None:
    print(f"skipped {printable(str(photo.path))}: {error}", file=sys.stderr)


def layer_table(architecture: Architecture) -> str:
    """The layers with shapes and parameter counts, like Keras's summary; without a final newline."""
    rows = [("layer", "output", "parameters"), *_backbone(architecture), *_head(architecture)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}" for name, shape, count in rows]
    backbone = sum(layer.parameters for layer in architecture.backbone_layers)
    total = f"{architecture.parameters:,} parameters, {backbone:,} of them in the backbone"
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", total])


def _backbone(architecture: Architecture) -> list[Row]:
    side, channels = INPUT_PIXELS, 3
    rows = [("pixels", _shape(side, side, channels), "0")]
    for block, layers in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in layers:
            channels = layer.kernel_shape[-1]
            rows.append((layer.name, _shape(side, side, channels), f"{layer.parameters:,}"))
        side //= POOL_PIXELS
        rows.append((f"{block.name}_pool", _shape(side, side, channels), "0"))
    return rows


def _head(architecture: Architecture) -> list[Row]:
    first = "features" if architecture.head == "pooled" else "flatten"
    rows = [(first, _shape(architecture.head_layers[0].kernel_shape[0]), "0")]
    return rows + [(la.name, _shape(*la.bias_shape), f"{la.parameters:,}") for la in architecture.head_layers]


def _shape(*sides: int) -> str:
    return f"({', '.join(map(str, ('n', *sides)))})"
