"""Lists the versions of a store, as text or JSON."""

import json
from collections.abc import Iterator
from typing import Any

from catdog.errors import StoreError
from catdog.versions.store import Store, Version


def text(store: Store) -> Iterator[str]:
    """A line for each version, oldest first, with a star at the champion; NoChampion."""
    champion = store.champion()
    for number in store.versions():
        try:
            described = _described(store.open(number))
        except StoreError as error:
            described = str(error)
        yield f"{'*' if number == champion else ' '} {number:>4}  {described}"
    yield "* in service"


def lines_of_json(store: Store) -> Iterator[str]:
    """A JSON object for each version, oldest first; one that can't be used has its `error`. NoChampion."""
    champion = store.champion()
    for number in store.versions():
        found: dict[str, Any] = {"version": number, "is_champion": number == champion}
        try:
            manifest = store.open(number).manifest
        except StoreError as error:
            yield json.dumps(found | {"error": str(error)})
            continue
        metrics = {split: each.model_dump(mode="json") for split, each in manifest.metrics.items()}
        described = {
            "created": manifest.created.isoformat(),
            "classes": manifest.classes,
            "width": manifest.width,
            "multiply_adds": manifest.architecture.multiply_adds,
            "bytes": manifest.weights.bytes,
            "photos_per_second": None if manifest.speed is None else manifest.speed.photos_per_second,
            "strategy": manifest.lineage.strategy,
            "dataset": manifest.lineage.dataset.model_dump(mode="json"),
            "job": manifest.lineage.job,
            "decision": None if manifest.decision is None else manifest.decision.model_dump(mode="json"),
            "metrics": metrics,
        }
        yield json.dumps(found | described)


def _described(version: Version) -> str:
    manifest = version.manifest
    measured = (f"{metrics.accuracy:.2%} of {metrics.photos:,} {split}" for split, metrics in manifest.metrics.items())
    made = f"{manifest.created:%Y-%m-%d %H:%M}  {manifest.lineage.strategy:<8}  width {manifest.width:g}"
    return f"{made}  {', '.join(manifest.classes)}  {'; '.join(measured)}"
