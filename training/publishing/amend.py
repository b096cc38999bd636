"""Publishes a copy of a version with some files and manifest fields replaced: versions never change."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from catdog.versions.manifest import Manifest
from catdog.versions.store import Store, Version
from catdog.versions.version import MANIFEST


def amended(
    store: Store,
    version: Version,
    command: str,
    files: Mapping[str, Callable[[Path], None]],
    fields: Mapping[str, object],
) -> Version:
    """A new version like `version`; unchanged files share their disk space with it.

    `files` are functions by file name, each of which writes its file to a path; `fields` are of the manifest.
    """
    with store.draft() as draft:
        for path in sorted(path for path in version.path.rglob("*") if path.is_file()):
            name = path.relative_to(version.path).as_posix()
            if name != MANIFEST and name not in files:
                (draft.path / name).parent.mkdir(exist_ok=True)
                draft.put(name, memoryview(path.read_bytes()), path)
        for name, write in files.items():
            write(draft.path / name)
        lineage = version.manifest.lineage.model_copy(update={"command": command, "parent": version.number})

        def describe(number: int) -> Manifest:
            changed = {"version": number, "created": datetime.now(UTC), "lineage": lineage, "decision": None}
            return version.manifest.model_copy(update={**fields, **changed})

        return draft.publish(describe)
