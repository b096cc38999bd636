"""Returned memory, measured by the kernel's numbers."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.serving import os_tuning

SIZE = 8 * 2**20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel doesn't tell")

THREADS_THAT_ALLOCATE = """
import ctypes
from threading import Barrier, Thread
from app.serving import os_tuning
{share}
all_there = Barrier(8)
def allocate():
    ctypes.CDLL(None).malloc(100)
    all_there.wait()
threads = [Thread(target=allocate) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""

# Several buffers at once, as a photo has; allocating them again takes pages that were kept or new ones from the kernel.
PAGES_TAKEN_AGAIN = """
import resource
from app.serving import os_tuning
{keep}
def take():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [bytearray(4 * 2**20) for _ in range(5)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
take()
print(take())
"""


def resident(file: Path) -> int:
    """Bytes of the file's mappings that are in memory."""
    found, inside = 0, False
    for line in os.fsdecode(Path("/proc/self/smaps").read_bytes()).splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(file))
        elif inside and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


def test_what_was_mapped_and_read_once_is_let_go_and_can_be_read_again(tmp_path: Path) -> None:
    ours, other = tmp_path / "models" / "int8.bin", tmp_path / os.fsdecode(b"no UTF-8: \xff.bin")
    ours.parent.mkdir()
    for file in (ours, other):
        file.write_bytes(b"7" * SIZE)
    with (
        ours.open("rb") as opened,
        other.open("rb") as elsewhere,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        mmap.mmap(elsewhere.fileno(), 0, access=mmap.ACCESS_READ) as kept,
    ):
        assert mapped[:] == kept[:]
        assert resident(ours) == resident(other) == SIZE

        os_tuning.return_memory(tmp_path / "models")

        assert (resident(ours), resident(other)) == (0, SIZE)
        assert mapped[:] == kept[:]


def heaps(share: str) -> int:
    script = THREADS_THAT_ALLOCATE.format(share=share)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    return done.stdout.count("<heap nr=")


def test_threads_share_their_heaps() -> None:
    assert heaps("") > os_tuning.ARENAS
    assert heaps("os_tuning.limit_arenas()") == os_tuning.ARENAS


def test_a_process_for_many_photos_keeps_the_memory_of_one_for_the_next() -> None:
    def pages(keep: str) -> int:
        return int(
            subprocess.check_output([sys.executable, "-c", PAGES_TAKEN_AGAIN.format(keep=keep)], encoding="utf-8")
        )

    assert pages("") > 1_000
    assert pages("os_tuning.keep_memory()") < 100
