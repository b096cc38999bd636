"""`python without_libraries.py NAMES -m MODULE ...` runs a module as if the libraries NAMES weren't installed."""

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

TRAINER = ("keras", "matplotlib", "nncf", "safetensors", "scipy", "sklearn", "tensorflow", "threadpoolctl", "tqdm")


class Missing(MetaPathFinder):
    """An import finder that hides these libraries."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


if __name__ == "__main__":
    names, option, module, *arguments = sys.argv[1:]
    assert option == "-m"
    sys.path[0] = ""
    sys.argv = [module, *arguments]
    sys.meta_path.insert(0, Missing(names.split(",")))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
