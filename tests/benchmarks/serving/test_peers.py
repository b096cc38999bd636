"""The peers' services run in separate environments, so these tests only read their code."""

import ast
import re
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.serving.systems import PEERS
from benchmarks.serving.systems import pinned as pinned_package

FOLDER = Path(peers.__file__).parent
NAMES = sorted(PEERS.values())


def imported(file: Path) -> set[str]:
    """The imported modules, anywhere in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_there_is_a_folder_for_each() -> None:
    assert sorted(each.parent.name for each in FOLDER.glob("*/service.py")) == NAMES


def test_they_import_nothing_of_the_service() -> None:
    ours = {name for file in FOLDER.rglob("*.py") for name in imported(file) if name.startswith(("app", "openvino"))}

    assert ours == set()


def test_of_the_benchmarks_they_import_what_lies_beside_them() -> None:
    found = {name for file in FOLDER.rglob("*.py") for name in imported(file) if name.startswith("benchmarks.")}

    assert {name for name in found if not name.startswith("benchmarks.peers")} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_by_hash_and_no_place_to_fetch_from_is_named(name: str) -> None:
    text = (FOLDER / name / "requirements.txt").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2])

    assert len(entries) > 20
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "index-url" not in text


def test_the_page_names_the_version_of_each() -> None:
    assert [re.sub(r"[\d.]+$", "1.0", pinned_package(name)) for name in PEERS] == [
        "keras 1.0",
        "litserve 1.0",
        "bentoml 1.0",
        "ray 1.0",
    ]


def test_all_of_them_have_the_same_keras_and_tensorflow() -> None:
    def pinned(name: str) -> list[str]:
        return re.findall(
            r"^(?:keras|tensorflow\S*)==\S+", (FOLDER / name / "requirements.txt").read_text(), re.MULTILINE
        )

    assert len({tuple(pinned(name)) for name in NAMES}) == 1
    assert len(pinned(NAMES[0])) == 3
