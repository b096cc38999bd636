"""app -> catdog <- training: who may import whom, read from the imports."""

import ast
from collections.abc import Iterator

import pytest

from tests.places import ROOT

HEAVY = {"tensorflow", "keras", "jax", "torch", "sklearn", "scipy", "matplotlib", "pandas"}
WEB = {"fastapi", "starlette", "uvicorn"}


def imports(package: str) -> Iterator[tuple[str, str]]:
    """(file, top-level package) for every import below a package of ours, wherever in the file it stands."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} imports relatively"
                names = [node.module or ""]
            else:
                continue
            for name in names:
                yield str(path.relative_to(ROOT)), name.split(".")[0]


@pytest.mark.parametrize(
    ("package", "banned"),
    [
        ("catdog", {"app", "training", "benchmarks", "tests"} | WEB),
        ("app", {"training", "benchmarks", "tests"} | HEAVY),
        ("training", {"app", "benchmarks", "tests"} | WEB),
    ],
)
def test_a_package_imports_nothing_that_it_must_not_know(package: str, banned: set[str]) -> None:
    found = list(imports(package))

    assert found, f"nothing found below {package}"
    assert [(file, name) for file, name in found if name in banned] == []


def test_in_the_shared_package_only_the_keras_engine_knows_keras() -> None:
    assert {file for file, name in imports("catdog") if name in HEAVY} == {"catdog/engines/keras.py"}


def test_only_one_file_calls_tensorflow_itself() -> None:
    files = {
        file for package in ("catdog", "app", "training") for file, name in imports(package) if name == "tensorflow"
    }

    assert files == {"training/fitting/fused_batch_norm.py"}
