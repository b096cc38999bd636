"""The memory that a process may use, from files in the kernel's format."""

import os
from pathlib import Path

import pytest

from catdog.system import resources

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
LINES = {1: "4:memory:/a/b", 2: "0::/a/b"}
FILES = {1: "memory/{}/memory.limit_in_bytes", 2: "{}/memory.max"}
UNLIMITED = {1: str(2**63 - 4096), 2: "max"}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the kernel would show."""
    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    monkeypatch.setattr(resources, "MOUNT", tmp_path / "mount")
    return tmp_path


def write(kernel: Path, version: int, group: str, limit: str) -> None:
    (kernel / "proc").write_text(LINES[version] + "\n")
    file = kernel / "mount" / FILES[version].format(group)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(limit + "\n")


@pytest.mark.parametrize("version", [1, 2])
def test_the_smallest_limit_of_all_groups_counts(kernel: Path, version: int) -> None:
    write(kernel, version, "a", str(300 * 2**20))
    write(kernel, version, "a/b", str(500 * 2**20))

    assert resources.usable_bytes() == 300 * 2**20


@pytest.mark.parametrize("version", [1, 2])
def test_without_a_limit_it_is_the_machine_s_memory(kernel: Path, version: int) -> None:
    write(kernel, version, "a/b", UNLIMITED[version])

    assert resources.usable_bytes() == MACHINE


def test_without_groups_it_is_the_machine_s_memory(kernel: Path) -> None:
    assert resources.usable_bytes() == MACHINE
