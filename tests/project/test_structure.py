"""The structure of the code: allowed imports between its parts, and every module's description."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

HEAVY = {"tensorflow", "keras", "jax", "torch", "sklearn", "scipy", "matplotlib", "pandas"}
WEB = {"fastapi", "starlette", "uvicorn"}

# Each package from its top to its bottom: a part imports only from lines below its own. Parts in one line are
# independent of each other. What follows the last dot may be a module or a subpackage.
LAYERS = {
    "app": (
        "__main__",
        "diagnostics",
        "processes",
        "main",
        "access label_studio privacy protocols webhooks",
        "api",
        "metrics ui",
        "batches",
        "retraining classification",
        "serving web",
        "telemetry",
        "admission",
        "secret_file",
        "settings",
        "configuration",
        "deferred_routes environment errors shutdown siblings",
    ),
    "command": (
        "__main__",
        "program",
        "backup classify export import_model keys predict trainer versions",
        "audit",
        "local_model options",
    ),
    "catdog": (
        "client transfer policy",
        "access datasets features jobs versions",
        "audit webhooks",
        "database engines",
        "migrations",
        "tables",
        "postgresql splits decoding_cost",
        "images names",
        "network image_formats",
        "system exit_status cluster",
        "errors",
        "faults",
    ),
    "training": ("__main__", "cli", "worker", "publishing exporting", "fitting", "evaluation", "data importing"),
    "benchmarks": ("__main__", "report", "gpu", "serving trainer faults experiments", "load", "harness peers"),
}


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
        ("catdog", {"app", "training", "command", "benchmarks", "tests"} | WEB),
        ("app", {"training", "command", "benchmarks", "tests"} | HEAVY),
        ("training", {"app", "command", "benchmarks", "tests"} | WEB),
        ("command", {"benchmarks", "tests"} | HEAVY | WEB),
    ],
)
def test_a_package_imports_nothing_that_it_must_not_know(package: str, banned: set[str]) -> None:
    found = list(imports(package))

    assert found, f"nothing found below {package}"
    assert [(file, name) for file, name in found if name in banned] == []


def test_in_the_shared_package_only_the_keras_engine_knows_keras() -> None:
    assert {file for file, name in imports("catdog") if name in HEAVY} == {"catdog/engines/keras.py"}


def test_only_two_files_call_tensorflow_itself() -> None:
    files = {
        file
        for package in ("catdog", "app", "command", "training")
        for file, name in imports(package)
        if name == "tensorflow"
    }

    assert files == {"training/fitting/trainable_network.py", "training/exporting/tflite_model.py"}


def layers(package: str) -> dict[str, int]:
    """The number of each part's line, from the top."""
    return {part: number for number, line in enumerate(LAYERS[package]) for part in line.split()}


def part_of(path: Path) -> str:
    """The part of its package that a file belongs to."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def imported_parts(package: str) -> Iterator[tuple[str, str, str]]:
    """(file, its part, the part that it imports) for every import within a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == package:
                names = [f"{package}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top, _, rest = name.partition(".")
                if top == package and rest and rest != "__version__":
                    yield str(path.relative_to(ROOT)), part_of(path), rest.split(".")[0]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_between_the_parts_of_a_package_go_down(package: str) -> None:
    place = layers(package)

    wrong = {
        f"{file} imports {package}.{imported}"
        for file, part, imported in imported_parts(package)
        if part != imported and place[part] >= place[imported]
    }
    assert wrong == set()


@pytest.mark.parametrize("package", LAYERS)
def test_every_module_begins_with_a_sentence_of_at_most_100_characters(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        line = (ast.get_docstring(tree) or "").partition("\n")[0]
        if tree.body and not (line.endswith((".", "?")) and line[:1] in {line[:1].upper(), "`"} and len(line) <= 100):
            wrong.append(f"{path.relative_to(ROOT)}: {line}")
    assert wrong == []


@pytest.mark.parametrize("package", ["app", "benchmarks", "catdog", "command", "tests", "training"])
def test_text_of_other_processes_is_read_in_a_named_encoding(package: str) -> None:
    """OpenVINO sets the locale C while it reads a network; what it interrupts there would decode as ASCII."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.value.lineno}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.keyword) and node.arg in {"text", "universal_newlines"}
        if isinstance(node.value, ast.Constant) and node.value.value is True
    ]

    assert wrong == [], 'use encoding="utf-8"'
