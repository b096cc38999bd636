"""The commands of `catdog` that need no photo, and how it fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from catdog import faults
from catdog.versions.store import Store
from tests import without_libraries
from tests.app.service import publish
from tests.command.running import Catdog
from tests.places import ROOT


def test_help_shows_every_command_and_examples(catdog: Catdog) -> None:
    shown = catdog.run("--help").stdout

    for command in ("serve", "doctor", "versions", "promote", "rollback", "train", "evaluate", "check-data", "worker"):
        assert f" {command} " in shown
    assert "catdog train --data photos" in shown
    assert "\x1b" not in shown


def test_help_of_a_command_of_the_trainer_is_the_trainer_s(catdog: Catdog) -> None:
    assert catdog.run("train", "--help").stdout.startswith("usage: catdog train ")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["promote", "zero"], "Invalid value for 'N'"),
        (["versions", "--nothing"], "No such option"),
        (["train", "--nothing"], "the following arguments are required: --data"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(catdog: Catdog, words: list[str], problem: str) -> None:
    assert problem in catdog.run(*words, status=2).stderr


def test_wrong_settings_are_named_and_end_with_status_2(catdog: Catdog) -> None:
    said = catdog.run("versions", status=2, CATDOG_PORT="x").stderr

    assert said.startswith("catdog: the settings are wrong:\n  CATDOG_PORT=x: ")


def test_a_version_that_is_not_there_ends_with_status_1(catdog: Catdog) -> None:
    assert catdog.run("promote", "9", status=1).stderr == "catdog: there is no version 9; the store holds: 1\n"


def test_a_version_is_promoted_and_rolled_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    publish(store.root)
    publish(store.root, seed=8)
    catdog = Catdog(tmp_path)  # which finds the store in its folder

    assert catdog.run("promote", "2").stdout == "version 2 is in service\n"
    assert [line[:6] for line in catdog.run("versions").stdout.splitlines()] == ["     1", "*    2", "* in s"]
    assert catdog.run("rollback").stdout == "version 1 is in service again\n"
    assert catdog.run("promote", "2", "--json").stdout == '{"champion": 2}\n'
    assert catdog.run("rollback", "--json").stdout == '{"champion": 1}\n'
    assert store.champion() == 1


def test_versions_are_listed_as_json(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish(store.root)
    publish(store.root)
    (store.root / "2" / "manifest.json").write_text("{")
    catdog = Catdog(tmp_path)

    good, broken = map(json.loads, catdog.run("--models", store.root, "versions", "--json").stdout.splitlines())

    assert (good["version"], good["is_champion"], good["classes"]) == (1, True, ["cat", "dog"])
    assert (broken["version"], broken["is_champion"]) == (2, False)
    assert "manifest.json" in broken["error"]


def test_the_setup_is_checked_as_json(catdog: Catdog) -> None:
    found = {one["what"]: one for one in map(json.loads, catdog.run("doctor", "--json").stdout.splitlines())}

    assert found["model"]["found"].startswith("version 1 (cat, dog; ")
    assert all(one["is_well"] for one in found.values())


def test_a_failed_check_of_the_setup_ends_with_status_1(catdog: Catdog) -> None:
    catdog.run("--models", catdog.folder / "none", "doctor", "--json", status=1)


def test_a_command_that_needs_the_trainer_says_how_to_install_it(catdog: Catdog) -> None:
    line = [sys.executable, without_libraries.__file__, ",".join(without_libraries.TRAINER), "-m", "command"]

    said = subprocess.run(
        [*line, "train", "--data", "."],
        cwd=ROOT,
        env=catdog.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert said.stderr.endswith("isn't installed; run `make trainer`\n")


def test_outside_of_a_checkout_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "IS_CHECKOUT", False)

    said = faults.missing_library(ModuleNotFoundError("No module", name="keras.layers"))

    assert said == (
        "this needs keras, which isn't installed; install catdog with its extra `train`, in its checkout:"
        " pip install '.[train]'"
    )


def test_the_service_starts_without_the_libraries_of_the_command_line(catdog: Catdog) -> None:
    """They would delay its first answer."""
    script = (
        "import sys; from command import __main__; from app import __main__ as service\n"
        "service.serve = lambda: print(*sys.modules)\n"
        "sys.argv = ['catdog', 'serve']\n"
        "__main__.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=catdog.environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )

    assert {"typer", "click", "rich", "numpy"} & set(done.stdout.split()) == set()
    assert "app.__main__" in done.stdout.split()
