"""What each start-up optimisation gains: time to the first answer and resident memory without it.

`python -m benchmarks.experiments.startup [--starts 20] [VARIANT...]` starts the service with the shipped model, in turn
as it is and without one optimisation, and prints medians and their ratios to the service as it is. Memory is resident
memory SETTLE_SECONDS after the first answer, or after `--swaps N` between two versions. It needs Linux.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import sleep

from benchmarks.harness import photos
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import ROOT, running
from benchmarks.harness.versions import shipped, with_another_backbone
from benchmarks.load.client import Client
from catdog.versions.store import Store

SETTLE_SECONDS = 3.0
AS_IT_IS = "as it is"


def _once_imported(module: str, change: str) -> str:
    """Statements that change a module, `m`, once the service imports it; sooner, less would happen in parallel."""
    indented = change.replace("\n", "\n        ")
    return (
        "import builtins, sys\n"
        "usual, done = builtins.__import__, []\n"
        "def imported(name, *rest, **more):\n"
        "    found = usual(name, *rest, **more)\n"
        f"    if name == {module!r} and not done:\n"
        "        done.append(m := sys.modules[name])\n"
        f"        {indented}\n"
        "    return found\n"
        "builtins.__import__ = imported\n"
    )


# Python statements that undo one optimisation before the service starts.
WITHOUT = {
    "skipped imports": "import app.processes.assembly as s; s.UNUSED = ()",
    "skipped plugins of pydantic": "import os; os.environ['PYDANTIC_DISABLE_PLUGINS'] = ''",
    "shorter switch interval": "import app.processes.assembly as s, sys; s.SWITCH_SECONDS = sys.getswitchinterval()",
    "no garbage collection while importing": "import gc; gc.disable = lambda: None",
    "frozen objects": "import gc; gc.freeze = lambda: None",
    "large blocks for checksums": "import catdog.system.durable as d; d.BLOCK_BYTES = 2**18",
    "one stream first": "import app.serving.loader as loader\n"
    "whole = loader.load\n"
    "loader.load = lambda version, found, settings, serving=None, soon=False: whole(version, found, settings, serving)",
    "fewer heaps of the C library": "import app.serving.os_tuning as o; o.limit_arenas = lambda: None",
    "returned heap": "import app.serving.os_tuning as o; o._libc = type('', (), {'madvise': o._libc.madvise})()",
    "returned mappings": "import app.serving.os_tuning as o, pathlib; o.MAPS = pathlib.Path('/proc/none')",
    "deferred routes": _once_imported(
        "app.main",
        "create = m.create_app\n"
        "m.create_app = lambda settings, hot_swap, whole, defers: create(settings, hot_swap, whole)",
    ),
    "model loaded while importing": "import app.serving.loader as loader; loader.VersionLoader.begin = lambda it: None",
}


def measure(undone: str, upload: Upload, folder: Path, swaps: int) -> tuple[float, float]:
    """Seconds to the first answer, and resident MiB after it and after `swaps` swaps between two versions."""
    script = f"{undone}\nfrom app.__main__ import main\nmain()"
    store = Store(folder / "models")
    settings = {"CATDOG_MODELS_DIR": str(store.root), "CATDOG_DATA_DIR": str(folder / "data")}
    wrapper = f"import os, sys; os.environ['CATDOG_PORT'] = os.environ['PORT']; sys.argv = ['app']\n{script}"
    with running([sys.executable, "-c", wrapper], settings, folder) as process, Client(process.port) as client:
        seconds = process.seconds_until(lambda: client.predict(upload) is not None)
        for _ in range(swaps):
            version = next(number for number in store.versions() if number != store.champion())
            store.promote(version)
            process.seconds_until(lambda version=version: _answers(client, upload, version))  # type: ignore[misc]
        sleep(SETTLE_SECONDS)
        memory = process.memory_bytes()
    return seconds, memory[0] / 2**20 if memory else float("nan")


def _answers(client: Client, upload: Upload, version: int) -> bool:
    answer = client.predict(upload)
    return answer is not None and json.loads(answer)["model_version"] == version


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.startup", description="Measures starts.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(map(repr, WITHOUT))}; all")
    parser.add_argument("--starts", type=int, default=20, help="of each variant (20)")
    parser.add_argument("--swaps", type=int, default=0, help="between two versions, before memory is measured (0)")
    given = parser.parse_args()
    upload = Upload.of(photos.photos()[0])
    scripts = {AS_IT_IS: "", **{name: WITHOUT[name] for name in given.variants or WITHOUT}}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in scripts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        version = shipped(ROOT / "models", folder / "models").version
        Store(folder / "models").promote(version.number)
        if given.swaps:
            with_another_backbone(version)
        measure("", upload, folder, given.swaps)  # compiles and caches
        for _ in range(given.starts):
            for variant, script in scripts.items():
                found[variant].append(measure(script, upload, folder, given.swaps))
    print(f"{Machine.this().where}, {given.starts} starts of each in turn, medians\n")
    print("| without | first answer, s | ratio | resident, MiB | ratio |\n|---|---|---|---|---|")
    for variant, rows in found.items():
        seconds, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        pairs = [
            statistics.median(mine[place] / usual[place] for mine, usual in zip(rows, found[AS_IT_IS], strict=True))
            for place in (0, 1)
        ]
        print(f"| {variant} | {seconds:.3f} | {pairs[0]:.3f} | {memory:.0f} | {pairs[1]:.3f} |")


if __name__ == "__main__":
    main()
