"""Classifies the photos that a journal doesn't have yet, with the version that began it."""

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from app.classification import pipeline
from app.classification.journal import Journal, JournalOfOthers, Row
from app.classification.photos import Photo
from app.serving.loaded_model import LoadedModel
from app.serving.loader import load, read
from app.settings import Settings
from catdog.system.failpoints import failpoint
from catdog.versions.store import Store


def begun(journal: Journal, settings: Settings, explain_to: Path | None = None) -> LoadedModel:
    """The version that began the journal; in a new one the champion begins it. StoreError, JournalOfOthers.

    NotDrawable if its answers can't be drawn into `explain_to`.
    """
    facts = journal.facts()
    store = Store(settings.models)
    version = store.open(store.champion() if facts is None else facts["version"])
    model = load(version, read(version, settings), settings)
    if explain_to is not None:
        pipeline.check_drawable(model)
    mine = _facts(model, settings) | ({} if explain_to is None else {"explain_to": str(explain_to)})
    if facts is None:
        journal.begin(mine)
        failpoint("classify.begun")
    elif facts != mine:
        now = json.dumps(mine)
        raise JournalOfOthers(
            f"{journal.path} was begun with another model or other settings: {json.dumps(facts)}, now {now};"
            " use those again, or remove the file to start from the beginning"
        )
    return model


def fill(
    journal: Journal, photos: Iterable[Photo], model: LoadedModel, settings: Settings, explain_to: Path | None = None
) -> Iterator[Row]:
    """Classify the photos that the journal doesn't have; yields each row once the journal has it."""
    remaining = (photo for photo in photos if not journal.has(photo.path))
    for row in pipeline.classify(remaining, model, settings, explain_to):
        journal.add(row)
        failpoint("classify.row")
        yield row


def _facts(model: LoadedModel, settings: Settings) -> dict[str, Any]:
    """What the answers depend on besides the photos."""
    return {
        "version": model.manifest.version,
        "manifest": sha256(model.manifest.to_json().encode()).hexdigest(),
        "precision": model.engine.precision,
        "unknown_keep": settings.unknown_keep,
    }
