"""catdog as `pip install .` installs it: without the checkout, in any folder."""

import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from catdog import __version__
from tests.command.running import Catdog
from tests.places import SHIPPED_MODELS
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def anywhere(installed: Path, tmp_path: Path) -> Catdog:
    """The installed command in an empty folder."""
    return Catdog(tmp_path, program=(str(installed),))


def test_the_command_says_its_version(anywhere: Catdog) -> None:
    assert anywhere.run("--version").stdout == f"catdog {__version__}\n"


def test_the_shipped_version_is_found_without_a_store_in_the_folder(anywhere: Catdog) -> None:
    listed = anywhere.run("versions").stdout

    assert listed.startswith("*    1  ")
    assert list(anywhere.folder.iterdir()) == []


def test_the_service_copies_the_shipped_version_to_where_it_can_add_others(anywhere: Catdog) -> None:
    service = anywhere.start("serve", CATDOG_PORT="0", CATDOG_LOG_FORMAT="text")
    try:
        assert service.stderr is not None
        log = iter(service.stderr.readline, "")
        assert next(log) == f"catdog: the shipped version is copied into {anywhere.folder / 'models'}\n"
        line = next(line for line in log if " serves version 1 " in line)
        found = re.search(r"http://\S+", line)
        assert found
        page = httpx.get(found[0], timeout=PATIENCE_SECONDS).text
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate()

    assert service.returncode == 0
    assert "<html" in page
    original, copied = (folder / "1" / "manifest.json" for folder in (SHIPPED_MODELS, anywhere.folder / "models"))
    assert copied.read_bytes() == original.read_bytes()


def test_a_store_in_the_folder_comes_before_the_installed_one(anywhere: Catdog, models_dir: Path) -> None:
    (anywhere.folder / "models").symlink_to(models_dir)

    (version,) = map(json.loads, anywhere.run("versions", "--json").stdout.splitlines())

    assert version["width"] == 1 / 32


def test_no_photo_that_may_not_be_passed_on_is_installed(installed: Path) -> None:
    names = {path.name for path in installed.parents[1].joinpath("share", "catdog").rglob("*")}

    assert "model.weights.h5" in names
    assert "worst-mistakes.png" not in names
