"""The trials of candidates next to the champion: one file of the store.

    models/trials.json     the trial of each version that has had one, by number. Replaced, never edited

At most one trial runs. Like the pointer `champion`, the file is replaced as a whole under the store's lock, so that a
process killed at any point leaves either the old or the new content. A deleted version's trial is removed first.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from time import time
from typing import Final

from pydantic import TypeAdapter, ValidationError

from catdog.errors import StoreError
from catdog.system.failpoints import failpoint
from catdog.system.repeating import repeated
from catdog.versions.places.place import Place
from catdog.versions.trial import Trial

FILE: Final = "trials.json"


@cache
def _schema() -> TypeAdapter[dict[str, Trial]]:
    """Built on first use, because it takes 7 ms of a start."""
    return TypeAdapter(dict[str, Trial])


class Trials:
    """The trials of the store in one place. Reading takes no lock; any number of processes may use it at once."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self) -> dict[int, Trial]:
        """Every trial by its version, the latest last; StoreError if the file can't be read."""
        try:
            text = self._place.read(FILE)
            return {} if text is None else {int(key): trial for key, trial in _schema().validate_json(text).items()}
        except (OSError, ValidationError, ValueError) as error:
            raise StoreError(f"the file {FILE} can't be read; restore it, or remove it to forget all trials") from error

    def running(self) -> Trial | None:
        """The trial that runs, None if none does."""
        return next((trial for trial in self.read().values() if trial.is_running), None)

    def begin(self, version: int, champion: int) -> None:
        """Begin a trial, instead of one that runs; nothing changes if the version had one. Under the store's lock."""
        trials = self.read()
        if version in trials:
            return
        now = time()
        reason = f"not promoted: the trial of version {version} began"
        ended = {number: trial.ended(now, reason) if trial.is_running else trial for number, trial in trials.items()}
        self._write({**ended, version: Trial(version=version, champion=champion, began_at=now)})
        failpoint("trial.begun")

    def forget(self, version: int) -> None:
        """Remove the trial of a version, if it had one. Under the store's lock."""
        trials = self.read()
        if trials.pop(version, None) is not None:
            self._write(trials)

    @repeated
    def change(self, version: int, changed: Callable[[Trial], Trial]) -> Trial | None:
        """Replace a trial that runs by `changed(trial)`, under the store's lock; None if it no longer runs."""
        with self._place.changing():
            trials = self.read()
            trial = trials.get(version)
            if trial is None or not trial.is_running:
                return None
            if (new := changed(trial)) != trial:
                self._write({**trials, version: new})
            return new

    def _write(self, trials: Mapping[int, Trial]) -> None:
        content = {str(version): trial.model_dump(mode="json") for version, trial in trials.items()}
        self._place.replace(FILE, json.dumps(content, indent=1) + "\n")
