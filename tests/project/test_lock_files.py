"""The lock files: the installed packages are the reviewed ones, from any package index."""

import re

import pytest

from tests.places import ROOT

LOCKS = ROOT / "requirements"
NAMES = ["serve.txt", "postgres.txt", "storage.txt", "train.txt", "gpu.txt", "dev.txt"]


def pinned(name: str) -> dict[str, set[str]]:
    """Versions by package: more than one if they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", (LOCKS / name).read_text("utf-8"), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_by_hash(name: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", (LOCKS / name).read_text("utf-8").split("\n", 2)[2])

    assert len(entries) > 20
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_file_names_no_place_to_fetch_from(name: str) -> None:
    text = (LOCKS / name).read_text("utf-8")

    assert "://" not in text
    assert "index-url" not in text


def test_serving_installs_none_of_the_heavy_libraries() -> None:
    heavy = {"tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "scikit-learn", "scipy", "pandas", "matplotlib"}

    assert pinned("serve.txt").keys() & heavy == set()
    assert "openvino" in pinned("serve.txt")


@pytest.mark.parametrize("name", ["serve.txt", "postgres.txt", "storage.txt", "train.txt"])
def test_one_environment_can_hold_all_parts(name: str) -> None:
    everything = pinned("dev.txt")

    assert {package: versions for package, versions in pinned(name).items() if everything[package] != versions} == {}
