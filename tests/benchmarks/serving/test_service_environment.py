"""What runs in the service's environment needs no package that only clients, trainers or tests have."""

import subprocess
import sys

import pytest

from benchmarks.harness.processes import ROOT

# Refuses to import packages that aren't pinned for the service.
ALONE = """
import importlib.abc, re, sys
from importlib.metadata import packages_distributions

pinned = set(re.findall(r"^([a-z0-9_.-]+)==", open("requirements/serve.txt", encoding="utf-8").read(), re.MULTILINE))
others = {
    module
    for module, names in packages_distributions().items()
    if not {re.sub("[-_.]+", "-", name).lower() for name in names} & pinned
}

class Refuses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in others:
            raise ModuleNotFoundError(f"{name} is no package of the service", name=name)

sys.meta_path.insert(0, Refuses())
"""


@pytest.mark.parametrize("module", ["benchmarks.serving.limits", "benchmarks.serving.stub_service"])
def test_the_service_s_packages_are_enough_for(module: str) -> None:
    command = [sys.executable, "-c", f"{ALONE}\nimport {module}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stderr
