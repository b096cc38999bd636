"""Adds an entry to the audit log if the settings differ from those at the last start."""

import logging
from hashlib import scrypt
from typing import Any, Final

import anyio
from anyio import CapacityLimiter, to_thread
from pydantic import SecretStr

from app.retraining.database import ServiceDatabase
from app.settings import SECRET, Settings, variable
from catdog.audit.change import SERVICE, Change, changing
from catdog.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

STATE: Final = "settings"  # name of the state that has those of the last start
ACTION: Final = "settings changed"
CHANGED: Final = "changed"  # instead of the values of a secret
FIRST_SECONDS = 1.0  # after the start: the first answer is more urgent
AGAIN_SECONDS = 60.0  # if the database doesn't answer
COST: Final = 2**14  # of scrypt, with 16 MB: it makes trying out secrets slow


class SettingsRecord:
    """The settings as they are stored between two starts; secrets as hashes."""

    def __init__(self, settings: Settings, records: ServiceDatabase) -> None:
        self._settings = settings
        self._records = records
        self._threads = CapacityLimiter(1)

    async def run(self) -> None:
        """Compare once, soon after the start; again and again while the database doesn't answer."""
        await anyio.sleep(FIRST_SECONDS)
        while True:
            try:
                return await to_thread.run_sync(self.compare, limiter=self._threads, abandon_on_cancel=True)
            except (DatabaseUnavailable, OSError) as error:
                logger.warning("the settings can't be compared with the last ones: %s", getattr(error, "reason", error))
            await anyio.sleep(AGAIN_SECONDS)

    def compare(self) -> None:
        """Store the settings, and add an entry with all that differ from the stored ones, else from the defaults."""
        from catdog.audit.log import record
        from catdog.database import put_state, state

        database = self._records.database
        salt = database.identity()
        now, defaults = (_stored(settings, salt) for settings in (self._settings, Settings.model_construct()))
        with database.writing() as connection:
            before = state(connection, STATE) or defaults
            put_state(connection, STATE, now)
            if differing := _differing(before, now):
                with changing(Change(ACTION, SERVICE)):
                    record(connection, **differing)


def _stored(settings: Settings, salt: str) -> dict[str, Any]:
    """Each setting by its variable, as JSON; None is one that isn't set."""
    values = settings.model_dump(mode="json", warnings=False)
    secrets = {name: _hashed(getattr(settings, name), salt) for name in SECRET}
    return {variable(name): value for name, value in {**values, **secrets}.items()}


def _hashed(secret: SecretStr | str | tuple[str, ...] | None, salt: str) -> str | None:
    if not secret:
        return None
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)
    return scrypt(text.encode(), salt=salt.encode(), n=COST, r=8, p=1).hex()


def _differing(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ, each with its values before and now. One that is new in this catdog doesn't count."""
    secret = {variable(name) for name in SECRET}
    return {
        name: CHANGED if name in secret else [before[name], value]
        for name, value in now.items()
        if name in before and before[name] != value
    }
