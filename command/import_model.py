"""`catdog import-model`: a version from a file of another machine, or of another program."""

import json as encoding
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catdog.errors import CatdogError
from command.options import Json

if TYPE_CHECKING:
    from catdog.versions.store import Store, Version


class Promote(StrEnum):
    """Whether the version is put into service."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class ImportRefused(CatdogError):
    """Options that are missing or contradict the file, or another file than was expected."""


def import_model(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `export --format archive` wrote, or .safetensors, .keras, .h5."),
    ],
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Classes in the order of the answers: cat,dog, or a file, one a line."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos in class folders, to calibrate and measure it on.")
    ] = None,
    promote: Annotated[
        Promote, typer.Option(help="auto: if it is no worse than the champion; an archive never.")
    ] = Promote.AUTO,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="Refuse the file unless it has this sha256.")
    ] = None,
    json: Json = False,
) -> None:
    """Publish a version, or VGG16 from elsewhere: catdog import-model vgg16.keras --classes cat,dog --data photos

    Nothing in the file is executed, and nothing is left of a file that is refused.
    """
    from catdog.system.durable import sha256_of
    from catdog.transfer import archive
    from command import local_model

    local_model.fill()
    if sha256 is not None and sha256_of(file) != sha256.lower():
        raise ImportRefused(f"{file} has another sha256 than {sha256}; copy it again")
    if archive.is_archive(file):
        if classes is not None or data is not None:
            raise ImportRefused(f"{file} is a version, which has classes and is measured; omit --classes and --data")
        said = _archive(file, local_model.store(), promote)
    elif classes is None or data is None:
        raise ImportRefused(
            "weights need --classes, in the order of their answers, and photos to measure on: --data DIR"
        )
    else:
        said = _weights(file, classes, data, promote)
    typer.echo(encoding.dumps(said) if json else _text(said))


def _archive(file: Path, store: "Store", promote: Promote) -> dict[str, Any]:
    from catdog.transfer import archive

    version = archive.publish(file, store)
    if promote is Promote.ALWAYS:
        store.promote(version.number)
    return _described(version, promote is Promote.ALWAYS, None)


def _weights(file: Path, classes: str, data: Path, promote: Promote) -> dict[str, Any]:
    from app.settings import read_settings
    from catdog.versions.store import Store
    from training.fitting.observer import Terminal
    from training.publishing.import_model import Import, import_model, read_classes

    settings, command = read_settings(), shlex.join(["catdog", *sys.argv[1:]])
    asked = Import(file, read_classes(classes), data, command, promote.value)
    made = import_model(asked, Store(settings.models), settings.data_dir, Terminal())
    return _described(made.version, made.promoted, made.reason)


def _described(version: "Version", promoted: bool, reason: str | None) -> dict[str, Any]:
    manifest = version.manifest
    measured = {split: each.accuracy for split, each in manifest.metrics.items()}
    said = {"version": version.number, "classes": list(manifest.classes), "accuracy": measured, "promoted": promoted}
    return said if reason is None else said | {"reason": reason}


def _text(said: dict[str, Any]) -> str:
    accuracy = ", ".join(f"{share:.1%} of the {split} photos" for split, share in said["accuracy"].items())
    lines = [f"version {said['version']} ({', '.join(said['classes'])}) is published; right on {accuracy}"]
    if "reason" in said:
        lines.append(said["reason"])
    lines.append(
        "it is in service" if said["promoted"] else f"to put it into service: catdog promote {said['version']}"
    )
    return "\n".join(lines)
