"""The cores that a process may use: from files in the kernel's format, and from the kernel itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import pytest

from catdog.system import resources

ALLOWED = len(os.sched_getaffinity(0))
CORE = 100_000  # microseconds of quota in a period of as many
GROUPS = Path("/sys/fs/cgroup")

# What a process of its own says: the cores it may use, and the threads that OpenVINO takes for a network.
COUNT = """
import gc
import openvino as ov
from catdog.system import resources
from catdog.network.architecture import Architecture
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Network
from tests.networks import random_arrays

architecture = Architecture(2, width=1 / 32)
engine = OpenVINOEngine(Network(architecture, random_arrays(architecture)), "f32")
(compiled,) = {request.get_compiled_model() for request in gc.get_objects() if isinstance(request, ov.InferRequest)}
print(resources.usable_cores(), compiled.get_property("INFERENCE_NUM_THREADS"))
"""


class Kernel:
    """A folder with the files that the kernel would show."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.mount = folder / "mount"
        self.mount.mkdir()

    def says(self, *lines: str) -> None:
        """Write the process's cgroups."""
        self.proc.write_text("".join(f"{line}\n" for line in lines))

    def limits(self, version: int, path: str, quota: object, period: object = CORE) -> None:
        folder = self.mount / ("" if version == 2 else "cpu") / path
        folder.mkdir(parents=True, exist_ok=True)
        if version == 2:
            (folder / "cpu.max").write_text(f"{quota} {period}\n")
        else:
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


LINES = {1: "3:cpu,cpuacct:/a/b/c", 2: "0::/a/b/c"}
UNLIMITED = {1: "-1", 2: "max"}
both_versions = pytest.mark.parametrize("version", [1, 2])


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel whose process may use eight cores by affinity."""
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(resources, "PROC", kernel.proc)
    monkeypatch.setattr(resources, "MOUNT", kernel.mount)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    return kernel


@both_versions
@pytest.mark.parametrize("quota", [1000, CORE // 2, CORE - 1, CORE, CORE + 1, 5 * CORE // 2, 8 * CORE, 20 * CORE])
def test_a_part_of_a_core_counts_as_one_and_none_counts_that_affinity_forbids(
    kernel: Kernel, version: int, quota: int
) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", quota)

    assert resources.usable_cores() == min(8, ceil(quota / CORE))


@both_versions
def test_a_quota_is_of_its_period(kernel: Kernel, version: int) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", 30_000, 10_000)

    assert resources.usable_cores() == 3


@both_versions
@pytest.mark.parametrize("limited", ["", "a", "a/b"])
def test_a_group_has_no_more_than_those_above_it(kernel: Kernel, version: int, limited: str) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", 4 * CORE)
    kernel.limits(version, "a/b", UNLIMITED[version])
    kernel.limits(version, limited, 2 * CORE)

    assert resources.usable_cores() == 2


@both_versions
def test_without_a_quota_affinity_decides(kernel: Kernel, version: int) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", UNLIMITED[version])

    assert resources.usable_cores() == 8


@both_versions
def test_a_group_that_the_container_cannot_see_is_passed_over(kernel: Kernel, version: int) -> None:
    """Without its own namespace a container gets the host's path, but sees its own group as the root."""
    kernel.says(LINES[version])
    kernel.limits(version, "", 3 * CORE)

    assert resources.usable_cores() == 3


def test_the_groups_of_other_controllers_do_not_count(kernel: Kernel) -> None:
    kernel.says("5:cpuset:/a", "4:name=systemd:/a", "3:cpu:/b", "0::/")
    kernel.limits(1, "a", CORE)
    kernel.limits(1, "b", 2 * CORE)

    assert resources.usable_cores() == 2


def test_a_group_may_have_any_name(kernel: Kernel) -> None:
    kernel.proc.write_bytes("0::/größe:1 x/\udcff\u2028\n".encode("utf-8", "surrogateescape"))
    kernel.limits(2, "größe:1 x/\udcff\u2028", CORE)

    assert resources.usable_cores() == 1


@both_versions
@pytest.mark.parametrize("quota", ["", "-5", "all", "1e5", "\x00\x01", "5 5 5"])
def test_what_is_no_quota_limits_nothing(kernel: Kernel, version: int, quota: str) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", quota)
    kernel.limits(version, "a", 3 * CORE)

    assert resources.usable_cores() == 3


@both_versions
@pytest.mark.parametrize("period", ["", "0", "-1", "x"])
def test_what_is_no_period_limits_nothing(kernel: Kernel, version: int, period: str) -> None:
    kernel.says(LINES[version])
    kernel.limits(version, "a/b/c", CORE, period)

    assert resources.usable_cores() == 8


@pytest.mark.parametrize("line", ["", "::", "0", "0:", "0:/a", "nonsense", "x::/a/b/c"])
def test_a_line_that_names_no_group_is_passed_over(kernel: Kernel, line: str) -> None:
    kernel.says(line, "0::/b")
    kernel.limits(2, "a/b/c", CORE)
    kernel.limits(2, "b", 2 * CORE)

    assert resources.usable_cores() == 2


def test_where_no_kernel_tells_the_groups_affinity_decides(kernel: Kernel) -> None:
    assert not kernel.proc.exists()
    assert resources.usable_cores() == 8


def test_where_there_is_no_affinity_every_core_counts(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")

    assert resources.usable_cores() == os.cpu_count()


def counted(*prefix: str | Path) -> tuple[int, int]:
    """The cores and OpenVINO's threads in a process that is started with this command prefix."""
    done = subprocess.run([*prefix, sys.executable, "-c", COUNT], capture_output=True, encoding="utf-8", check=True)
    found, threads = done.stdout.split()
    return int(found), int(threads)


def test_a_process_kept_to_one_core_finds_one() -> None:
    one = min(os.sched_getaffinity(0))

    assert counted("taskset", "-c", str(one)) == (1, 1)


def test_a_process_that_keeps_itself_to_one_core_finds_one() -> None:
    kept = f"import os\nos.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    done = subprocess.run([sys.executable, "-c", kept + COUNT], capture_output=True, encoding="utf-8", check=True)

    assert done.stdout == "1 1\n"


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup of this machine's, with a quota of one core."""
    first = (GROUPS if (GROUPS / "cgroup.controllers").exists() else GROUPS / "cpu") / f"catdog-test-{os.getpid()}"
    try:
        first.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        try:
            if (first / "cpu.max").exists():
                (first / "cpu.max").write_text(f"{CORE} {CORE}")
            else:
                (first / "cpu.cfs_quota_us").write_text(str(CORE))
        except OSError as error:
            pytest.skip(f"no quota can be set here: {error}")
        yield first
    finally:
        first.rmdir()


def test_a_process_in_a_group_with_a_quota_of_one_core_finds_one(group: Path) -> None:
    joins = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")

    assert counted(*joins) == (1, 1)
    assert counted() == (ALLOWED, ALLOWED)
