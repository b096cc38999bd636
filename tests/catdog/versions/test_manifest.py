import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from catdog.network.architecture import Architecture
from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.measurements import Neighbours, Unknown

NEIGHBOURS: dict[str, Any] = {"sha256": "d" * 64, "bytes": 140, "photos": 20, "nearest": 5, "usual_similarity": 0.8}


def changed(manifest: Manifest, place: str, value: Any) -> str:
    """The manifest's JSON with a changed value at a path such as "lineage.seed"."""
    fields = json.loads(manifest.to_json())
    *parents, name = place.split(".")
    record = fields
    for parent in parents:
        record = record[parent]
    record[name] = value
    return json.dumps(fields)


def test_a_manifest_survives_json(manifest: Manifest) -> None:
    similar = Unknown(
        neighbours=Neighbours(**NEIGHBOURS), threshold=0.6, photos=100, kept=0.95, thresholds=((0.9, 0.7), (0.95, 0.6))
    )
    for one in (manifest, manifest.model_copy(update={"unknown": similar})):
        text = one.to_json()

        assert Manifest.from_json(text) == one
        assert Manifest.from_json(text).to_json() == text


def test_the_json_is_for_people_too(manifest: Manifest) -> None:
    lines = manifest.to_json().splitlines()

    assert lines[:4] == [
        "{",
        '  "schema_version": 1,',
        '  "version": 1,',
        '  "created": "2026-03-01T12:30:15.250000Z",',
    ]
    assert '    "notes": "Größe egal",' in lines
    assert manifest.to_json().endswith("}\n")


def test_the_manifest_names_the_network(manifest: Manifest) -> None:
    assert manifest.architecture == Architecture(classes=2, width=1 / 32, head="pooled")


def test_a_manifest_never_changes(manifest: Manifest) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest.temperature = 2.0


def test_a_moment_is_kept_in_utc(manifest: Manifest) -> None:
    fields = dict(manifest)
    fields["created"] = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    created = Manifest(**fields).created

    assert created == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert created.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("surplus", 1, "surplus: Extra inputs are not permitted"),
        ("lineage.surplus", 1, "lineage.surplus: Extra inputs are not permitted"),
        ("version", 0, "version: "),
        ("version", "1", "version: "),
        ("created", "2026-03-01T12:30:15", "created: Input should have timezone info"),
        ("classes", ["cat"], r"classes: must be at least two names, each once, in alphabetical order, not \['cat'\]"),
        ("classes", ["dog", "cat"], "classes: must be at least two names"),
        ("classes", ["cat", "cat"], "classes: must be at least two names"),
        ("classes", ["", "cat"], "classes: must be at least two names"),
        ("width", 1.5, r"width must be in \(0, 1\], not 1.5"),
        ("head", "other", "head: Input should be 'pooled' or 'classic'"),
        ("preprocessing", "no hash", "preprocessing: "),
        ("weights.sha256", "A" * 64, "weights.sha256: "),
        ("weights.dtype", "int8", "weights.dtype: Input should be 'float32' or 'float16'"),
        ("temperature", 0, "temperature: Input should be greater than 0"),
        ("temperature", float("nan"), "temperature: Input should be a finite number"),
        ("metrics.validation.log_loss", float("inf"), "metrics.validation.log_loss: Input should be a finite number"),
        ("metrics.validation.accuracy", 1.1, "metrics.validation.accuracy: "),
        ("metrics.validation.recall", {"cat": -0.1}, "metrics.validation.recall.cat: "),
        ("golden.probabilities", [[0.5, 1.5]], "golden.probabilities.0.1: "),
        ("decision.champion", 0, "decision.champion: "),
        ("unknown.usual_length", 0, "unknown.usual_length: "),
        ("unknown.usual_length", None, "unknown: needs either usual_length or neighbours"),
        ("unknown.thresholds", [[0.9, 0.7], [0.9, 0.6]], "unknown: the shares of its thresholds must ascend"),
        ("unknown.thresholds", [[0.9, 0.6], [0.95, 0.7]], "unknown: .* and the thresholds must not"),
        ("unknown.thresholds", [[1.1, 0.6]], "unknown.thresholds.0.0: "),
        ("unknown.neighbours", {**NEIGHBOURS, "nearest": 0}, "unknown.neighbours.nearest: "),
        (
            "unknown.neighbours",
            {**NEIGHBOURS, "nearest": 21},
            "unknown.neighbours: nearest must be at most photos, 20, not 21",
        ),
        ("unknown.neighbours", {**NEIGHBOURS, "sha256": "?"}, "unknown.neighbours.sha256: "),
        ("unknown.neither.auroc", 1.1, "unknown.neither.auroc: "),
        ("histograms.confidence", {}, r"histograms.confidence.\[key\]: Input should be 'probability' or 'familiarity'"),
        ("histograms.familiarity.edges", [], "histograms.familiarity.edges: "),
        ("histograms.familiarity.edges", [1.1, 0.9], "histograms.familiarity: its edges must ascend"),
        ("histograms.familiarity.photos", [1, 2], "histograms.familiarity: must have one bin more than edges"),
        ("histograms.familiarity.photos", [0, 0, 0], "histograms.familiarity: must have .* at least one photo"),
        ("lineage.dataset.photos", {"train": {"cat": -1}}, "lineage.dataset.photos.train.cat: "),
    ],
)
def test_a_wrong_field_is_refused_by_name(manifest: Manifest, place: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        Manifest.from_json(changed(manifest, place, value))


@pytest.mark.parametrize("classes", [["Cat", "cat"], ["dog", "unknown"], ["neither", "🐱"], ["x" * 101, "y."]])
def test_classes_that_were_named_before_there_was_a_rule_go_on_loading(manifest: Manifest, classes: list[str]) -> None:
    assert Manifest.from_json(changed(manifest, "classes", classes)).classes == tuple(classes)


def test_a_missing_field_is_refused_by_name(manifest: Manifest) -> None:
    fields = json.loads(manifest.to_json())
    del fields["lineage"]["seed"]

    with pytest.raises(ValueError, match=r"^lineage\.seed: Field required$"):
        Manifest.from_json(json.dumps(fields))


def test_a_manifest_may_lack_what_not_every_training_knows(manifest: Manifest) -> None:
    fields = json.loads(manifest.to_json())
    del fields["decision"], fields["golden"], fields["lineage"]["job"], fields["unknown"], fields["histograms"]

    found = Manifest.from_json(json.dumps(fields))

    assert (found.decision, found.golden, found.lineage.job) == (None, None, None)
    assert (found.unknown, found.histograms) == (None, {})


@pytest.mark.parametrize(("value", "place"), [(0.5, 0), (0.9, 1), (1.0, 1), (1.1, 2), (9.0, 2)])
def test_a_bin_begins_at_its_edge(manifest: Manifest, value: float, place: int) -> None:
    assert manifest.histograms["familiarity"].bin_of(value) == place


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", b"\xff"])
def test_what_is_no_manifest_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Manifest.from_json(text)


def test_a_newer_schema_asks_for_a_newer_catdog(manifest: Manifest) -> None:
    fields = json.loads(manifest.to_json()) | {"schema_version": 2, "a_field_of_the_future": 1}

    with pytest.raises(ValueError, match=r"^made by a newer catdog \(schema 2, not 1\); update catdog$"):
        Manifest.from_json(json.dumps(fields))


def test_an_older_schema_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match=r"^schema_version: Input should be 1"):
        Manifest.from_json(changed(manifest, "schema_version", 0))


def test_weights_are_described_by_their_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    file = tmp_path / "model.weights.h5"
    file.write_bytes(content)

    assert WeightsFile.of(file, "float32") == WeightsFile(
        sha256=sha256(content).hexdigest(), bytes=1_280_000, dtype="float32"
    )
