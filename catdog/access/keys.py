"""Named keys in the database: only their SHA-256, so that reading the database gives no key.

A key is `catdog_`, its id and 256 random bits. Trying out that many is impossible, so a fast hash is as safe as a slow
one such as bcrypt, which protects passwords that people chose, and it costs a microsecond for each request. The id
finds the row; the hashes are compared in constant time, so that answers don't tell how much of a wrong key is right.
"""

import re
import secrets
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from time import time
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert, select, update

from catdog.access.errors import InvalidKeyName, KeyExists, KeyNotFound
from catdog.access.roles import NO_LIMITS, Limits, Role
from catdog.audit.log import record
from catdog.database import Database
from catdog.names import LIMIT_KEY_CHARACTERS
from catdog.tables import keys

ID_BYTES: Final = 4
SECRET_BYTES: Final = 32
DAY_SECONDS: Final = 86_400.0
HOUR_SECONDS: Final = 3_600.0

_NAME = re.compile(rf"[a-zA-Z0-9][a-zA-Z0-9._@-]{{0,{LIMIT_KEY_CHARACTERS - 1}}}")
_KEY = re.compile(rf"catdog_([0-9a-f]{{{2 * ID_BYTES}}})_[\w-]{{43}}", re.ASCII)


class State(StrEnum):
    """Whether a key can be used."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. Times are seconds since 1970; `used_at` is exact to a minute. No limit is None."""

    id: str
    name: str
    role: Role
    sha256: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None
    requests_per_second: float | None = None
    bytes_per_day: int | None = None

    @property
    def limits(self) -> Limits:
        """Its own limits; where it has none, the settings of the service apply."""
        return Limits(self.requests_per_second, self.bytes_per_day)

    @property
    def state(self) -> State:
        if self.revoked_at is not None:
            return State.REVOKED
        return State.EXPIRED if self.expires_at is not None and self.expires_at <= time() else State.VALID

    def matches(self, given: str) -> bool:
        """Whether this text is the key."""
        return compare_digest(_hash(given), self.sha256)


class NewKey(NamedTuple):
    """A key and its secret, which is stored nowhere and so can be shown only now."""

    key: Key
    secret: str


def id_of(given: str) -> str | None:
    """The id in a key; None if the text isn't of a key's form."""
    found = _KEY.fullmatch(given)
    return found[1] if found else None


class Keys:
    """The keys in one database. Any number of processes may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Key]:
        """Every key, also revoked and expired ones, the oldest first."""
        with self._database.reading() as connection:
            return _found(connection)

    def create(self, name: str, role: Role, days: float | None = None, limits: Limits = NO_LIMITS) -> NewKey:
        """Create a key that expires after `days`, by default never; InvalidKeyName, KeyExists."""
        if not _NAME.fullmatch(name):
            raise InvalidKeyName(name, LIMIT_KEY_CHARACTERS)
        with self._database.writing() as connection:
            if _valid(connection, name):
                raise KeyExists(name)
            return _insert(connection, name, role, None if days is None else days * DAY_SECONDS, limits)

    def rotate(self, name: str, overlap_hours: float = 0) -> NewKey:
        """Replace a key by a new one of the same name, role, lifetime and limits; KeyNotFound.

        The old one stays valid for `overlap_hours`, so that the programs that use it can be changed one by one.
        """
        now = time()
        with self._database.writing() as connection:
            valid = _valid(connection, name)
            if not valid:
                raise KeyNotFound(name)
            for old in valid:
                end = {"revoked_at": now} if not overlap_hours else {"expires_at": _sooner(old, now, overlap_hours)}
                connection.execute(update(keys).where(keys.c.id == old.id).values(end))
            last = valid[-1]
            lifetime = None if last.expires_at is None else last.expires_at - last.created_at
            return _insert(connection, name, last.role, lifetime, last.limits)

    def limit(self, name: str, limits: Limits) -> list[Key]:
        """Replace the limits of the valid keys of this name; KeyNotFound."""
        with self._database.writing() as connection:
            ids = [key.id for key in _valid(connection, name)]
            if not ids:
                raise KeyNotFound(name)
            connection.execute(update(keys).where(keys.c.id.in_(ids)).values(limits._asdict()))
            record(connection, name=name, ids=ids, limits=limits._asdict())
            return [key for key in _found(connection, name) if key.id in ids]

    def revoke(self, name: str) -> list[Key]:
        """Revoke the key of this name, and the ones that it replaced and that are still valid; KeyNotFound."""
        with self._database.writing() as connection:
            valid = _valid(connection, name)
            if not valid:
                raise KeyNotFound(name)
            revoked = [key.id for key in valid]
            connection.execute(update(keys).where(keys.c.id.in_(revoked)).values(revoked_at=time()))
            record(connection, name=name, ids=revoked)
            return [key for key in _found(connection, name) if key.id in revoked]

    def note_use(self, id: str, at: float) -> None:
        """Store when a key was last used."""
        with self._database.writing() as connection:
            connection.execute(update(keys).where(keys.c.id == id).values(used_at=at))


def _sooner(key: Key, now: float, overlap_hours: float) -> float:
    end = now + overlap_hours * HOUR_SECONDS
    return end if key.expires_at is None else min(end, key.expires_at)


def _found(connection: Connection, name: str | None = None) -> list[Key]:
    query = select(*(keys.c[field.name] for field in fields(Key))).order_by(keys.c.created_at, keys.c.id)
    rows = connection.execute(query if name is None else query.where(keys.c.name == name)).mappings()
    return [Key(**{**row, "role": Role(row["role"])}) for row in rows]


def _valid(connection: Connection, name: str) -> list[Key]:
    """The valid keys of a name, the oldest first: more than one while rotated ones overlap."""
    return [key for key in _found(connection, name) if key.state is State.VALID]


def _insert(connection: Connection, name: str, role: Role, lifetime_seconds: float | None, limits: Limits) -> NewKey:
    number, now = secrets.token_hex(ID_BYTES), time()
    secret = f"catdog_{number}_{secrets.token_urlsafe(SECRET_BYTES)}"
    expires_at = None if lifetime_seconds is None else now + lifetime_seconds
    key = Key(number, name, role, _hash(secret), now, expires_at, None, None, *limits)
    connection.execute(insert(keys).values({field.name: getattr(key, field.name) for field in fields(Key)}))
    record(connection, name=name, role=role, id=number, **limits._asdict())
    return NewKey(key, secret)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
