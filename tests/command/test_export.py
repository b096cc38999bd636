"""`catdog export`: a version for other programs, as a user asks for it."""

import json
import subprocess
import sys

from openvino import Core

from tests import without_libraries
from tests.app.service import publish
from tests.command.running import Catdog
from tests.photos import draw_set
from tests.places import ROOT


def test_the_champion_is_exported_and_compared_with_the_service(catdog: Catdog) -> None:
    photos = draw_set(catdog.folder / "photos", 3)

    said = json.loads(catdog.run("export", "--format", "onnx", "--compare", photos, "--json").stdout)

    assert (said["path"], said["version"], said["precision"]) == ("catdog-1.onnx", 1, "float32")
    assert said["bytes"] == (catdog.folder / "catdog-1.onnx").stat().st_size
    assert said["compared"]["photos"] == 6
    assert said["compared"]["float32"] < 1e-5


def test_openvino_needs_none_of_the_trainer_s_libraries(catdog: Catdog) -> None:
    line = [sys.executable, without_libraries.__file__, ",".join(without_libraries.TRAINER), "-m", "command"]

    subprocess.run(
        [*line, "export", "1", "--format", "openvino", "--to", str(catdog.folder / "made")],
        cwd=ROOT,
        env=catdog.environment,
        capture_output=True,
        check=True,
    )

    model = Core().read_model(catdog.folder / "made" / "model.xml")
    assert json.loads(model.get_rt_info(["catdog", "classes"]).value) == ["cat", "dog"]


def test_a_missing_library_of_a_format_is_named(catdog: Catdog) -> None:
    def said(missing: str, format: str) -> str:
        line = [sys.executable, without_libraries.__file__, missing, "-m", "command", "export", "--format", format]
        done = subprocess.run(
            [*line, "--to", str(catdog.folder / "made")],
            cwd=ROOT,
            env=catdog.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 2
        assert not (catdog.folder / "made").exists()
        return done.stderr.splitlines()[-1]

    assert said("keras", "keras") == "catdog: this needs keras, which isn't installed; run `make trainer`"
    assert said("onnx", "onnx").endswith("with its extra `export`, in its checkout: pip install '.[export]'")


def test_an_existing_file_is_never_replaced(catdog: Catdog) -> None:
    (catdog.folder / "catdog-1.keras").write_text("mine")

    said = catdog.run("export", "1", "--format", "keras", status=1).stderr

    assert said == "catdog: catdog-1.keras exists already; remove it, or choose another name with --to\n"
    assert (catdog.folder / "catdog-1.keras").read_text() == "mine"


def test_what_a_format_can_t_do_is_said_at_once(catdog: Catdog) -> None:
    assert "has no int8" in catdog.run("export", "--format", "keras", "--precision", "int8", status=1).stderr
    assert "there is no version 7" in catdog.run("export", "7", "--format", "keras", status=1).stderr
    assert "Invalid value for '--format'" in catdog.run("export", "1", "--format", "word", status=2).stderr


def test_a_version_is_carried_to_another_store_as_one_file(catdog: Catdog) -> None:
    made = json.loads(catdog.run("export", "--format", "archive", "--json").stdout)
    there = ("--models", "elsewhere")
    publish(catdog.folder / "elsewhere", seed=8)

    said = catdog.run(*there, "import-model", "catdog-1.zip", "--sha256", made["sha256"]).stdout
    again = json.loads(catdog.run(*there, "import-model", made["path"], "--promote", "always", "--json").stdout)

    assert said.splitlines() == [
        "version 2 (cat, dog) is published; right on 50.0% of the validation photos",
        "to put it into service: catdog promote 2",
    ]
    assert (again["version"], again["classes"], again["promoted"]) == (3, ["cat", "dog"], True)
    assert "\n*    3  " in catdog.run(*there, "versions").stdout
    assert "another sha256" in catdog.run(*there, "import-model", made["path"], "--sha256", "0", status=1).stderr


def test_weights_need_classes_and_photos(catdog: Catdog) -> None:
    (catdog.folder / "vgg16.pth").write_bytes(b"\x80\x04.")

    assert "weights need --classes" in catdog.run("import-model", "vgg16.pth", status=1).stderr
    options = ("--classes", "cat,dog", "--data", draw_set(catdog.folder / "photos", 3))
    said = catdog.run("import-model", "vgg16.pth", *options, status=1).stderr
    assert "a pickle" in said
    assert "No such file" in catdog.run("import-model", "missing.h5", *options, status=1).stderr
