"""Named keys in the database."""

import pytest
from sqlalchemy import select, update

from catdog.access import keys as module
from catdog.access.errors import InvalidKeyName, KeyExists, KeyNotFound
from catdog.access.keys import Keys, State
from catdog.access.roles import LADDER, Role
from catdog.database import Database
from catdog.tables import keys as table


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


def test_a_key_is_stored_without_its_secret(keys: Keys, database: Database) -> None:
    made = keys.create("robot", Role.PREDICT, days=1)

    (stored,) = keys.all()
    assert stored == made.key
    assert stored.matches(made.secret)
    assert not stored.matches(made.secret + "x")
    assert stored.expires_at == stored.created_at + 86_400
    with database.reading() as connection:
        assert made.secret[16:] not in str(connection.execute(select(table)).all())


def test_keys_differ_and_name_their_row(keys: Keys) -> None:
    made = [keys.create(f"robot-{number}", Role.LABEL) for number in range(3)]

    assert len({one.secret for one in made}) == 3
    assert [module.id_of(one.secret) for one in made] == [one.key.id for one in made]
    assert module.id_of("catdog_12345678_short") is None


@pytest.mark.parametrize("name", ["", " ", "admin key", "-x", "ä", "x" * 65, "a\nb"])
def test_names_that_cannot_be_told_apart_in_a_list_are_refused(keys: Keys, name: str) -> None:
    with pytest.raises(InvalidKeyName):
        keys.create(name, Role.ADMIN)


def test_a_name_is_free_again_once_its_key_is_revoked_or_expired(keys: Keys, database: Database) -> None:
    keys.create("robot", Role.PREDICT)
    with pytest.raises(KeyExists):
        keys.create("robot", Role.ADMIN)
    keys.revoke("robot")
    made = keys.create("robot", Role.TRAIN, days=1)
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == made.key.id).values(expires_at=1.0))
    keys.create("robot", Role.LABEL)

    assert sorted((key.role, key.state) for key in keys.all()) == [
        (Role.LABEL, State.VALID),
        (Role.PREDICT, State.REVOKED),
        (Role.TRAIN, State.EXPIRED),
    ]


def test_a_rotated_key_keeps_name_role_and_lifetime(keys: Keys) -> None:
    old = keys.create("robot", Role.TRAIN, days=30)
    new = keys.rotate("robot")

    assert (new.key.name, new.key.role) == ("robot", Role.TRAIN)
    assert new.key.expires_at == pytest.approx(new.key.created_at + 30 * 86_400)
    assert [(key.id, key.state) for key in keys.all()] == [
        (old.key.id, State.REVOKED),
        (new.key.id, State.VALID),
    ]


def test_a_rotated_key_may_stay_valid_but_not_longer_than_it_would_have(keys: Keys) -> None:
    keys.create("robot", Role.TRAIN)
    newer = keys.rotate("robot", overlap_hours=24)
    old, _ = keys.all()
    assert old.state is State.VALID
    assert old.expires_at == pytest.approx(newer.key.created_at + 86_400, abs=60)

    keys.rotate("robot", overlap_hours=48)
    assert keys.all()[0].expires_at == old.expires_at
    assert len(keys.revoke("robot")) == 3
    with pytest.raises(KeyNotFound):
        keys.rotate("robot")
    with pytest.raises(KeyNotFound):
        keys.revoke("robot")


def test_a_role_includes_those_before_it() -> None:
    assert [[role.includes(other) for other in LADDER].count(True) for role in LADDER] == [1, 2, 3, 4]
    assert Role.ADMIN.includes(Role.PREDICT)
