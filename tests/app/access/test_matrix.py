"""Every route with every role, and with keys in every state."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import update
from starlette.routing import BaseRoute, Route

from catdog.access.keys import Keys, NewKey
from catdog.access.roles import LADDER, Role
from catdog.database import Database
from catdog.tables import keys as table
from tests.app.service import ADMIN_KEY, Service, publish, serving
from tests.places import ROOT
from tests.waiting import until

PREDICT_KEY = "a key for predictions"
PAGE = (ROOT / "docs" / "14-access.md").read_text("utf-8")
# Nothing has these names, so that a request that is let through changes nothing.
NAMES = {
    "batch": "none",
    "change": "999999",
    "comparison": "none",
    "delivery": "999999",
    "job": "none",
    "label": "none",
    "model": "none",
    "name": "none",
    "prediction_id": "none",
    "sha256": "0" * 64,
    "version": "999999",
}


class Address(NamedTuple):
    """A method and the template of a path."""

    method: str
    template: str

    @property
    def path(self) -> str:
        return self.template.format(**NAMES)


class Matrix(NamedTuple):
    """A service that requires a key, keys of every role by what they are, and keys that must open nothing."""

    service: Service
    valid: Mapping[str, tuple[Role, str]]
    invalid: Mapping[str, str]

    def status(self, address: Address, authorization: str | None) -> int:
        headers = {} if authorization is None else {"Authorization": authorization}
        with self.service.client.stream(*address._replace(template=address.path), headers=headers) as response:
            return response.status_code


def documented() -> dict[Address, Role | None]:
    """The role of each address, by the table in the page; None for those without."""
    table = re.findall(r"^\| `?(none|predict|label|train|admin)`? \| (.*) \|$", PAGE, re.MULTILINE)
    return {
        Address(method, template): None if role == "none" else Role(role)
        for role, addresses in table
        for method, template in re.findall(r"`([A-Z]+) ([^`]+)`", addresses)
    }


ROLES = documented()


def routed(app: FastAPI) -> set[Address]:
    routes: list[BaseRoute] = app.routes
    assert all(isinstance(route, Route) for route in routes)
    return {
        Address(method, route.path_format)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    with serving(models_dir, predict_key=SecretStr(PREDICT_KEY), worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield _with_keys(service)


def _with_keys(service: Service) -> Matrix:
    keys: Keys = service.app.state.database.keys
    valid = {f"a valid key: {role}": (role, keys.create(f"valid-{role}", role).secret) for role in LADDER}
    invalid = {}
    for role in LADDER:
        expired, revoked, replaced = (
            keys.create(f"{state}-{role}", role, 1) for state in ("expired", "revoked", "replaced")
        )
        _expire(service, expired)
        keys.revoke(revoked.key.name)
        keys.rotate(replaced.key.name)
        altered = valid[f"a valid key: {role}"][1][:-4] + "AAAA"
        for state, secret in (
            ("expired", expired.secret),
            ("revoked", revoked.secret),
            ("replaced", replaced.secret),
            ("altered", altered),
        ):
            invalid[f"{state}: {role}"] = f"Bearer {secret}"
    invalid["unknown"] = f"Bearer catdog_00000000_{'A' * 43}"
    invalid["text"] = "Bearer wrong"
    invalid["empty"] = "Bearer"
    invalid["another scheme"] = f"Basic {ADMIN_KEY}"
    given = {"the predict key": (Role.PREDICT, PREDICT_KEY), "the admin key": (Role.ADMIN, ADMIN_KEY)}
    return Matrix(service, valid | given, invalid)


def _expire(service: Service, made: NewKey) -> None:
    database: Database = service.app.state.database.database
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == made.key.id).values(expires_at=made.key.created_at))


def test_the_page_has_the_role_of_every_route(matrix: Matrix) -> None:
    assert routed(matrix.service.app) == set(ROLES)
    assert set(ROLES.values()) == {None, *LADDER}


@pytest.mark.parametrize("address", ROLES, ids=" ".join)
def test_an_address_lets_through_its_role_and_higher_ones_alone(matrix: Matrix, address: Address) -> None:
    needed = ROLES[address]
    for what, (role, secret) in matrix.valid.items():
        status = matrix.status(address, f"Bearer {secret}")
        if needed is None or role.includes(needed):
            assert status not in (401, 403), what
        else:
            assert status == (401 if what == "the predict key" else 403), what
    for what, authorization in {**matrix.invalid, "none": None}.items():
        status = matrix.status(address, authorization)
        assert (status in (401, 403)) == (needed is not None), what


def test_without_a_required_key_only_reading_is_open(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    state = matrix.service.app.state._state
    monkeypatch.setitem(state, "settings", state["settings"].model_copy(update={"predict_key": None}))
    given = {"none": None, "revoked": matrix.invalid["revoked: admin"], "text": "Bearer wrong"}
    for address, needed in ROLES.items():
        for what, authorization in given.items():
            is_open = needed in (None, Role.PREDICT)
            assert (matrix.status(address, authorization) in (401, 403)) != is_open, (address, what)

    monkeypatch.setitem(state, "settings", state["settings"].model_copy(update={"key_required": True}))
    assert matrix.status(Address("GET", "/model"), None) == 401


def test_the_openapi_document_lists_the_role_of_each_address(matrix: Matrix) -> None:
    described = {
        Address(method.upper(), path): [
            role for scheme in operation.get("security", []) for role in (*scheme.values(),)
        ]
        for path, operations in matrix.service.client.get("/openapi.json").json()["paths"].items()
        for method, operation in operations.items()
    }

    assert len(described) > 60
    assert described == {address: [] if (role := ROLES[address]) is None else [[role.value]] for address in described}
