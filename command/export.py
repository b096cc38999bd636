"""`catdog export`: a version in the format of another framework."""

import json as encoding
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from catdog.errors import CatdogError
from catdog.system import quiet_import
from command.options import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from catdog.versions.version import Version
    from training.exporting import formats

LIMIT: Final = 1e-3  # largest allowed difference of a probability in float32
MOST: Final = 1_000  # photos to compare answers on


class Format(StrEnum):
    """The formats of `training.exporting.formats`, which isn't imported for help, and catdog's own."""

    ONNX = "onnx"
    SAVED_MODEL = "saved_model"
    TFLITE = "tflite"
    OPENVINO = "openvino"
    KERAS = "keras"
    ARCHIVE = "archive"


class Precision(StrEnum):
    """What an exported network computes in."""

    FLOAT32 = "float32"
    INT8 = "int8"


ENDINGS: Final = {  # the other formats are folders
    Format.ARCHIVE: ".zip",
    Format.KERAS: ".keras",
    Format.ONNX: ".onnx",
    Format.TFLITE: ".tflite",
}


class ExportFailed(CatdogError):
    """A result that is in the way, or gives other answers than the service."""


def export(
    format: Annotated[Format, typer.Option(help="The format.")],
    version: Annotated[
        int | None, typer.Argument(min=1, metavar="[N]", help="The version's number; without it the champion.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file or folder to write; must not exist yet.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="int8 for onnx, tflite (these need --data) and openvino.")
    ] = Precision.FLOAT32,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos that set the ranges of int8; 300 of them are used.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos on which to compare its answers with the service's.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a version for other programs: catdog export 1 --format onnx

    It turns uint8 RGB pixels (n, 224, 224, 3) into calibrated probabilities, and contains the names of the classes.
    """
    from command import local_model

    local_model.find()
    store = local_model.store()
    found = store.open(store.champion() if version is None else version)
    path = to or Path(_name(found.number, format, precision))
    if path.exists():
        raise ExportFailed(f"{path} exists already; remove it, or choose another name with --to")
    said: dict[str, Any] = {"path": str(path), "format": format.value, "version": found.number}
    if format is Format.ARCHIVE:
        said |= _archive(found, path, any((data, compare, precision is Precision.INT8)))
    else:
        said |= _other(found, path, (format, precision), data, compare)
    typer.echo(encoding.dumps(said) if json else _text(said))
    if precision is Precision.FLOAT32 and said.get("compared", {}).get("float32", 0) > LIMIT:
        raise ExportFailed(f"a probability differs by more than {LIMIT:g} from the service's in float32")


def _archive(version: "Version", path: Path, has_options: bool) -> dict[str, Any]:
    from catdog.system.durable import sha256_of
    from catdog.transfer import archive

    if has_options:
        raise ExportFailed("an archive holds the version as it is; omit --precision, --data and --compare")
    archive.write(version, path)
    return {"bytes": _bytes(path), "sha256": sha256_of(path)}


def _other(
    version: "Version", path: Path, how: tuple[Format, Precision], data: Path | None, compare: Path | None
) -> dict[str, Any]:
    """Write a format of another framework."""
    from training.exporting import formats

    kind = cast("formats.Format", how[0].value)  # any but the archive
    precision: formats.Precision = how[1].value
    formats.check(version, kind, precision, data is not None)
    # Its converters need this backend, and its messages say nothing that a user could change.
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    quiet_import.hide("tensorflow", quiet_import.TENSORFLOW)
    formats.write(version, kind, precision, path, None if data is None else formats.read_photos(data))
    said: dict[str, Any] = {"precision": precision, "bytes": _bytes(path)}
    if compare is not None:
        said["compared"] = _compared(version, path, kind, formats.read_photos(compare, MOST))
    return said


def _name(version: int, format: Format, precision: Precision) -> str:
    int8 = "-int8" if precision is Precision.INT8 else ""
    return f"catdog-{version}{int8}{ENDINGS.get(format, f'-{format.value}')}"


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _compared(version: "Version", path: Path, format: "formats.Format", pixels: "NDArray[np.uint8]") -> dict[str, Any]:
    """The largest differences of a probability from the service's answers: in float32, and as it serves here."""
    import numpy as np

    from command import local_model
    from training.exporting import runtimes

    answer = runtimes.opened(path, format)
    answers = np.concatenate([answer(photo[np.newaxis]) for photo in pixels])
    settings = local_model.settings()
    found: dict[str, Any] = {"photos": len(pixels)}
    for name, asked in (("float32", settings.model_copy(update={"precision": "f32"})), ("as_served", settings)):
        model = local_model.loaded(asked, version.number)
        logits = np.concatenate([model.engine.infer(photo[np.newaxis]).logits for photo in pixels])
        found[name] = float(np.abs(answers - version.manifest.calibration.probabilities(logits)).max())
        found["served_in"] = model.engine.precision
    return found


def _text(said: dict[str, Any]) -> str:
    kind = f"sha256 {said['sha256']}" if "sha256" in said else f"in {said['precision']}"
    line = f"{said['path']}: version {said['version']}, {said['bytes'] / 1e6:.1f} MB, {kind}"
    if (found := said.get("compared")) is not None:
        line += (
            f"\nlargest difference of a probability on {found['photos']:,} photos: {found['float32']:.2g} from the"
            f" service in float32, {found['as_served']:.2g} as it serves here ({found['served_in']})"
        )
    return line
