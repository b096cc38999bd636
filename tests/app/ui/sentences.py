"""Finds the sentences of the service that the page shows, in the code that makes them."""

import ast
import re
from collections.abc import Iterator

from tests.places import ROOT

# Where these sentences are made. Those of the protocols, of settings and of the command line aren't shown by the page.
SOURCES = (
    "app/errors.py",
    "app/retraining/worker_process.py",
    "catdog/access/errors.py",
    "catdog/cluster.py",
    "catdog/datasets/archive.py",
    "catdog/datasets/errors.py",
    "catdog/datasets/layout.py",
    "catdog/datasets/safe_zip.py",
    "catdog/errors.py",
    "catdog/jobs",
    "catdog/policy/rules.py",
    "catdog/versions/canary.py",
    "catdog/versions/trial_rule.py",
    "training/data/checks.py",
    "training/data/cluster_features.py",
    "training/evaluation/champion_comparison.py",
    "training/evaluation/evidence.py",
    "training/evaluation/promotion_rule.py",
    "training/evaluation/same_photos.py",
    "training/fitting/backbones.py",
    "training/publishing/pipeline.py",
    "training/worker",
)
WORDS = re.compile(r"[a-z']{2,}[:,]? .*[a-z']{2,}")  # a text with fewer words is a name
NOT_SHOWN = {  # by the page: texts of the command line, of settings and of the audit log, of traces, and types
    "\n\nThe above exception was the direct cause",
    "--backbone {} is not a file, nor auto, champion, a version number, random, imagenet",
    "Lease | None",
    "and {} more",
    "each line: number of the picture (photos with the same number show the same one), split, class, file, beginning of"
    " its SHA-256, and what is wrong with it: of a doubted label the predicted class with its probability",
    "end of a job",
    "it names no date that exists",
    "left out: {}",
    "nothing found",
    "write five fields of cron: minute, hour, day of month, month, day of week",
    *("calibration error", "live photos", "object store", "test photos", "the test photos"),  # names
}
VALUE = re.compile(r"\{[^{}]*\}")
UNSEEN = {
    "print",
    "add_argument",
    "info",
    "warning",
    "error",
    "debug",
    "write",
    "_say",
    "failpoint",
    "Factor",
    "Field",
    "TypeVar",
    "TypeAlias",
}  # what these say is for other readers


def templates() -> set[str]:
    """The sentences, cut at semicolons like the page does it, each value in them as `{}`."""
    paths = (ROOT / place for place in SOURCES)
    files = (file for path in paths for file in ([path] if path.suffix else path.glob("*.py")))
    said = {text for file in files for text in _said(ast.parse(file.read_text("utf-8"))) if WORDS.search(text)}
    return {part for text in said for part in cut(text) if WORDS.search(part)} - NOT_SHOWN


def cut(text: str) -> Iterator[str]:
    """The parts of a text between semicolons that aren't in brackets, without a comma around them."""
    depth, part = 0, ""
    for character in text + ";":
        depth += (character == "(") - (character == ")")
        if character == ";" and depth <= 0:
            yield part.strip(" ,")
            part = ""
        else:
            part += character


def _said(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and _name(node.func) in UNSEEN:
        return
    if isinstance(node, ast.JoinedStr):
        yield VALUE.sub(
            "{}", "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        )
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield VALUE.sub("{}", node.value)
    for child in ast.iter_child_nodes(node):
        if not _is_docstring(child) and not isinstance(node, ast.FormattedValue | ast.JoinedStr | ast.Assert):
            yield from _said(child)
        elif isinstance(node, ast.JoinedStr):
            yield from (text for value in ast.walk(child) if isinstance(value, ast.IfExp) for text in _said(value))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _name(function: ast.AST) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
