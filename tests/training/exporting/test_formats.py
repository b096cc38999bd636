"""Every format, opened by its own runtime, gives the answers of the service."""

import json
import logging
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import ZipFile

import numpy as np
import onnxruntime
import openvino as ov
import pytest
from numpy.typing import NDArray

from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import BrokenVersion
from catdog.network import weights
from catdog.network.architecture import Architecture
from catdog.versions.manifest import WeightsFile
from catdog.versions.store import Store, Version
from tests.app.service import publish
from tests.networks import random_arrays
from tests.photos import draw_set
from training.exporting import formats, runtimes
from training.exporting.formats import ExportError, Format, Precision
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: dict[Format, str] = {
    "onnx": ".onnx",
    "tflite": ".tflite",
    "keras": ".keras",
    "saved_model": "",
    "openvino": "",
}
FLOAT_LIMIT = 1e-5
INT8_LIMIT = 0.05


@pytest.fixture(scope="module")
def version(split_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A trained version, which has an int8 graph, a temperature and noise."""
    folder = tmp_path_factory.mktemp("trained")
    config = Config(backbone="random", width=1 / 32)
    return train(Request(config, split_photos, command=""), Store(folder / "models"), folder, Terminal()).version


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version with the head of VGG's paper and three classes."""
    store = Store(tmp_path_factory.mktemp("classic"))
    publish(store.root)
    like, architecture = store.open(1).manifest, Architecture(3, 1 / 32, "classic")
    with store.draft() as draft:
        weights.write(draft.weights_path, architecture, random_arrays(architecture))
        fields = {"classes": ("ant", "bee", "cow"), "head": "classic", "noise": 0.01, "temperature": 2.5}
        fields["weights"] = WeightsFile.of(draft.weights_path, "float32")
        return draft.publish(lambda number: like.model_copy(update=fields | {"version": number}))


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    return formats.read_photos(draw_set(tmp_path_factory.mktemp("photos"), 4, first=500))


def served(version: Version, pixels: NDArray[np.uint8], precision: Precision = "float32") -> NDArray[np.float64]:
    """The service's answers."""
    engine: Literal["int8", "f32"] = "int8" if precision == "int8" else "f32"
    output = OpenVINOEngine(version.network(engine), engine).infer(pixels)
    return version.manifest.calibration.probabilities(output.logits)


def exported(version: Version, format: Format, folder: Path, precision: Precision = "float32") -> Path:
    path = folder / f"made{ENDINGS.get(format, '')}"
    formats.write(version, format, precision, path, formats.read_photos(draw_set(folder / "drawn", 10)))
    return path


@pytest.fixture(scope="module", params=FORMATS)
def made(
    request: pytest.FixtureRequest, version: Version, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Format, Path]:
    """The version in each format."""
    return request.param, exported(version, request.param, tmp_path_factory.mktemp("made"))


def test_an_export_gives_the_answers_of_the_service(
    made: tuple[Format, Path], version: Version, pixels: NDArray[np.uint8]
) -> None:
    kind, path = made
    answer = runtimes.opened(path, kind)

    expected = served(version, pixels)
    assert answer(pixels) == pytest.approx(expected, abs=FLOAT_LIMIT)
    assert answer(pixels[:1]) == pytest.approx(expected[:1], abs=FLOAT_LIMIT)
    assert expected.max() - expected.min() > 0.5


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_with_the_classic_head_gives_the_answers_of_the_service(
    format: Format, classic: Version, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    answer = runtimes.opened(exported(classic, format, tmp_path), format)

    assert answer(pixels) == pytest.approx(served(classic, pixels), abs=FLOAT_LIMIT)


@pytest.mark.parametrize(("format", "limit"), [("onnx", INT8_LIMIT), ("tflite", INT8_LIMIT), ("openvino", 1e-4)])
def test_an_export_in_int8_gives_nearly_the_answers_of_the_service(
    format: Format, limit: float, version: Version, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    """OpenVINO's has the graph that the service runs."""
    single = exported(version, format, tmp_path)
    path = exported(version, format, tmp_path / "int8", "int8")

    assert runtimes.opened(path, format)(pixels) == pytest.approx(served(version, pixels, "int8"), abs=limit)
    assert size(path) < 0.8 * size(single)  # the constants of the layers are small in a tiny network


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*.bin")) if path.is_dir() else path.stat().st_size


def facts_of(path: Path, format: Format) -> dict[str, Any]:
    """The description in an exported model, as a program finds it."""
    match format:
        case "onnx":
            properties = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
            return {fact: json.loads(value) for fact, value in properties.items()}
        case "openvino":
            found = ov.Core().read_model(path / "model.xml").get_rt_info(["catdog"]).astype(dict)
            return {fact: json.loads(value.value) for fact, value in found.items()}
        case "saved_model":
            text = (path / "assets.extra" / "catdog.json").read_bytes()
        case _:
            with ZipFile(path) as file:
                text = file.read("catdog.json")
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_an_export_contains_the_classes_and_where_it_comes_from(made: tuple[Format, Path], version: Version) -> None:
    kind, path = made
    facts = facts_of(path, kind)

    assert (facts["classes"], facts["version"], facts["precision"]) == (["cat", "dog"], 1, "float32")
    assert facts["weights_sha256"] == version.manifest.weights.sha256


@pytest.mark.parametrize("format", ["keras", "saved_model"])
def test_a_format_without_int8_says_so(format: Format, version: Version, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no int8"):
        exported(version, format, tmp_path, "int8")


def test_int8_without_photos_or_without_a_graph_says_what_is_missing(version: Version, classic: Version) -> None:
    with pytest.raises(ExportError, match="add --data DIR"):
        formats.check(version, "onnx", "int8", has_photos=False)
    with pytest.raises(ExportError, match="publish it with one"):
        formats.check(classic, "openvino", "int8", has_photos=False)


def test_a_broken_version_is_not_exported_and_nothing_is_left_behind(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    publish(store.root)
    with (store.root / "1" / "model.weights.h5").open("ab") as file:
        file.write(b"x")

    with pytest.raises(BrokenVersion):
        formats.write(store.open(1), "keras", "float32", tmp_path / "out" / "made.keras")
    assert not (tmp_path / "out").exists()


def test_an_export_that_fails_keeps_the_file_that_was_there(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "model.xml").write_text("earlier")
    monkeypatch.setattr(ov, "save_model", fail)

    with pytest.raises(OSError, match="free disk space"):
        formats.write(version, "openvino", "float32", tmp_path / "made")
    assert (tmp_path / "made" / "model.xml").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("no space left")


def test_an_export_leaves_the_log_as_it_was(version: Version, tmp_path: Path) -> None:
    """Warnings are held back only while ONNX Runtime quantizes."""
    level = logging.getLogger().level

    exported(version, "onnx", tmp_path, "int8")

    assert logging.getLogger().level == level
