"""Endpoints that list, create, rotate and revoke named keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from app.access.key_schemas import CreatedKey, KeyLimits, NamedKey, NamedKeys, NewKey, Rotation
from app.api.dependencies import Name, held, json_body
from app.errors import Unauthorized, UnsupportedContentType
from app.retraining.database import ServiceDatabase
from app.web import uploads
from app.web.auth import admin
from app.web.keyring import KeyRing
from app.web.problem_details import documented
from catdog.access.errors import InvalidKeyName, KeyExists, KeyNotFound
from catdog.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from catdog.access.keys import Keys

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, OSError)
SHOWN_ONCE = {"Cache-Control": "no-store"}

Answer = TypeVar("Answer")
DatabaseDep = Annotated[ServiceDatabase, held("database")]
KeyRingDep = Annotated[KeyRing, held("keyring")]

router = APIRouter(prefix="/keys", tags=["keys"], dependencies=[Depends(admin)])


@router.get("", responses=documented(*ANY))
async def keys(database: DatabaseDep) -> NamedKeys:
    """Every named key, also expired and revoked ones, without their secrets."""
    found = await to_thread.run_sync(lambda: database.keys.all())
    return NamedKeys(keys=[NamedKey.of(key) for key in found])


@router.post(
    "",
    status_code=201,
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, InvalidKeyName, KeyExists),
    openapi_extra=json_body(NewKey),
)
async def create(request: Request, response: Response, database: DatabaseDep, keyring: KeyRingDep) -> CreatedKey:
    """Create a key. The answer alone shows it."""
    asked = await uploads.read_json(request, NewKey)
    given = asked.name, asked.role, asked.expires_days, asked.limits
    made = await _change(database, keyring, lambda keys: keys.create(*given))
    response.headers.update(SHOWN_ONCE)
    return CreatedKey.made(made)


@router.patch(
    "/{name}",
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, KeyNotFound),
    openapi_extra=json_body(KeyLimits),
)
async def limit(name: Name, request: Request, database: DatabaseDep, keyring: KeyRingDep) -> NamedKeys:
    """Replace the limits of the key of this name; other processes apply them within 5 seconds."""
    asked = await uploads.read_json(request, KeyLimits)
    limited = await _change(database, keyring, lambda keys: keys.limit(name, asked.limits))
    return NamedKeys(keys=[NamedKey.of(key) for key in limited])


@router.post(
    "/{name}/rotate",
    status_code=201,
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, KeyNotFound),
    openapi_extra=json_body(Rotation),
)
async def rotate(
    name: Name, request: Request, response: Response, database: DatabaseDep, keyring: KeyRingDep
) -> CreatedKey:
    """Replace a key by a new one of the same name, role and lifetime, which the answer alone shows."""
    asked = await uploads.read_json(request, Rotation)
    made = await _change(database, keyring, lambda keys: keys.rotate(name, asked.overlap_hours))
    response.headers.update(SHOWN_ONCE)
    return CreatedKey.made(made)


@router.delete("/{name}", responses=documented(*ANY, KeyNotFound))
async def revoke(name: Name, database: DatabaseDep, keyring: KeyRingDep) -> NamedKeys:
    """Revoke the key of this name, and the ones that it replaced; other processes refuse them within 5 seconds."""
    revoked = await _change(database, keyring, lambda keys: keys.revoke(name))
    return NamedKeys(keys=[NamedKey.of(key) for key in revoked])


async def _change(database: ServiceDatabase, keyring: KeyRing, change: "Callable[[Keys], Answer]") -> Answer:
    """Change the keys on a thread; this process knows them as they are afterwards."""
    result = await to_thread.run_sync(lambda: change(database.keys))
    await keyring.reread()
    return result
