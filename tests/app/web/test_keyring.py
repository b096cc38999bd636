"""Named keys in memory: how often they are read, and when a change reaches another process."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event

from app.web import keyring as module
from app.web.keyring import KeyRing
from catdog.access.keys import Keys, State
from catdog.access.roles import Role
from catdog.database import Database
from catdog.errors import DatabaseUnavailable
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(Database.of(tmp_path))


class Clock:
    """A clock that a test sets."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        patch.setattr(module, "monotonic", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_SECONDS))


def statements(keys: Keys, kind: str) -> list[str]:
    """The statements of this kind that are executed from now on."""
    found: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith(kind):
            found.append(statement)

    event.listen(keys._database._engine, "before_cursor_execute", note)
    return found


async def settled(ring: KeyRing) -> None:
    """Wait for what runs in the background."""
    while ring._reading or ring._noting:
        await asyncio.gather(*ring._noting, *filter(None, [ring._reading]))


def test_a_revoked_key_is_refused_after_the_limit_and_read_in_the_background_before(keys: Keys, clock: Clock) -> None:
    secret = keys.create("robot", Role.PREDICT).secret

    async def scenario() -> None:
        ring = KeyRing(lambda: keys)
        assert (await ring.find(secret)).state is State.VALID  # type: ignore[union-attr]
        await settled(ring)
        keys.revoke("robot")

        clock.seconds = module.FRESH_SECONDS  # answered at once by what is known, and read again for the next request
        assert (await ring.find(secret)).state is State.VALID  # type: ignore[union-attr]
        await settled(ring)
        assert (await ring.find(secret)).state is State.REVOKED  # type: ignore[union-attr]

    run(scenario)


def test_after_a_pause_a_request_waits_for_the_keys_as_they_are_now(keys: Keys, clock: Clock) -> None:
    secret = keys.create("robot", Role.PREDICT).secret

    async def scenario() -> None:
        ring = KeyRing(lambda: keys)
        await ring.find(secret)
        keys.revoke("robot")
        clock.seconds = module.LIMIT_SECONDS
        assert (await ring.find(secret)).state is State.REVOKED  # type: ignore[union-attr]

    run(scenario)


def test_many_requests_at_once_cost_one_query_and_wrong_keys_few(keys: Keys, clock: Clock) -> None:
    secret = keys.create("robot", Role.PREDICT).secret
    queries = statements(keys, "SELECT keys")

    async def scenario() -> None:
        ring = KeyRing(lambda: keys)
        assert None not in await asyncio.gather(*(ring.find(secret) for _ in range(50)))
        assert len(queries) == 1
        for number in range(100):
            assert await ring.find(f"catdog_{number:08x}_{'A' * 43}") is None
        assert len(queries) == 1
        assert await ring.find("the admin key of another service") is None

        clock.seconds = module.UNKNOWN_SECONDS
        assert await ring.find(keys.create("new", Role.LABEL).secret) is not None
        assert len(queries) == 2 + 1  # creating it looks for its name
        await settled(ring)

    run(scenario)


def test_the_use_of_a_key_is_written_at_most_once_a_minute(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.create("robot", Role.PREDICT)
    writes = statements(keys, "UPDATE keys")

    async def scenario() -> None:
        for ring in (KeyRing(lambda: keys), KeyRing(lambda: keys)):  # two processes
            for _ in range(20):
                await ring.find(made.secret)
                await settled(ring)
        assert len(writes) == 1
        (used,) = keys.all()
        assert used.used_at is not None

        later = used.used_at + module.USED_SECONDS
        monkeypatch.setattr(module, "time", lambda: later)
        await ring.find(made.secret)
        await settled(ring)
        assert keys.all()[0].used_at == later

    run(scenario)


def test_keys_last_read_are_valid_for_a_while_if_the_database_does_not_answer(keys: Keys, clock: Clock) -> None:
    secret = keys.create("robot", Role.PREDICT).secret
    new = keys.create("new", Role.PREDICT).secret
    tries = 0

    def unreachable() -> Keys:
        nonlocal tries
        tries += 1
        raise DatabaseUnavailable("it was unplugged")

    async def scenario() -> None:
        ring = KeyRing(lambda: keys)
        await ring.find(secret)
        await settled(ring)
        ring._keys = unreachable
        for clock.seconds in (
            module.FRESH_SECONDS,
            module.LIMIT_SECONDS,
            module.LIMIT_SECONDS,
            module.AWAY_SECONDS - 1,
        ):
            assert await ring.find(secret) is not None
            await settled(ring)
        assert tries == 3, "not one for each request"
        ring._known = {}
        with pytest.raises(DatabaseUnavailable):  # it isn't wrong: nobody knows
            await ring.find(new)
        clock.seconds = module.AWAY_SECONDS
        with pytest.raises(DatabaseUnavailable):
            await ring.find(secret)
        ring._keys = lambda: keys
        assert await ring.find(secret) is not None
        keys.revoke("robot")
        clock.seconds += module.LIMIT_SECONDS
        found = await ring.find(secret)
        assert found is not None
        assert found.state is State.REVOKED

    run(scenario)


def test_requests_wait_only_briefly_for_a_database_that_hangs(keys: Keys, clock: Clock) -> None:
    secret, goes_on = keys.create("robot", Role.PREDICT).secret, Event()

    def hanging() -> Keys:
        goes_on.wait(PATIENCE_SECONDS)
        return keys

    async def scenario() -> None:
        ring = KeyRing(lambda: keys)
        await ring.find(secret)
        await settled(ring)
        ring._keys = hanging
        clock.seconds = module.LIMIT_SECONDS
        try:
            for _ in range(3):
                assert await ring.find(secret) is not None
            assert ring._reading is not None
        finally:
            goes_on.set()

    run(scenario)
