"""Reads results of each kind."""

import csv
import json
from pathlib import Path
from typing import Any

from pyarrow import parquet


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows with the values that JSON has for them."""
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return found
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(name: str, text: str) -> Any:
    if not text or name in ("path", "label", "error", "explanation"):
        return text or None
    return json.loads(text)
