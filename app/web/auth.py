"""API keys: checks who may call an endpoint, before the body is read.

Each route depends on one of `reader`, `labeller`, `trainer` and `admin`, which require a key with that role or a higher
one. A route without any of them is open to everyone.
"""

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app import secret_file
from app.errors import Forbidden, Unauthorized
from app.settings import Settings, SettingsError
from app.web import auditing, signed_in
from app.web.keyring import KeyRing
from app.web.quotas.quotas import Quotas
from catdog.access.roles import NO_LIMITS, Limits, Role

KEY_FILE = "admin.key"
KEY_BYTES = 32
LEAST_LETTERS = 16  # as in the settings
# Security schemes of the OpenAPI document; each route lists the role that it needs.
READING = ("key", "Any key of the service.")
CHANGING = ("admin-key", "The admin key, or a named key with this role or a higher one.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of the key, its role, and the id and limits of a named one."""

    name: str
    role: Role
    key: str | None = None
    limits: Limits = NO_LIMITS


ADMIN_KEY = Caller("admin key", Role.ADMIN)
PREDICT_KEY = Caller("predict key", Role.PREDICT)


def _needs(role: Role) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[None]]:
    """A dependency that raises Unauthorized without a valid key, and Forbidden if its role isn't enough.

    Reading requires a key only if the settings say so.
    """
    scheme, description = READING if role is Role.PREDICT else CHANGING
    bearer = HTTPBearer(auto_error=False, scheme_name=scheme, description=description)

    async def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer, scopes=[role])]
    ) -> None:
        request.state.caller = caller = await _caller(request, given or _of_password(request))
        _check_limits(request, caller)
        if role is not Role.PREDICT:
            _begin_change(request, caller)
        if role is not Role.PREDICT or request.app.state.settings.requires_key:
            check_role(request, role)

    return check


def _check_limits(request: Request, caller: Caller | str) -> None:
    """LimitReached if the key, or the address without a named one, has reached its limit; the admin key has none."""
    quotas: Quotas = request.app.state.quotas
    if isinstance(caller, Caller) and caller.key is not None:
        quotas.check_key(request, caller.name, caller.limits)
    elif caller is not ADMIN_KEY:
        quotas.check_address(request)


def _begin_change(request: Request, caller: Caller | str) -> None:
    if isinstance(caller, Caller):
        auditing.begin(request, caller.name, caller.key, "")
    else:
        auditing.begin(request, "", None, caller)


def _of_password(request: Request) -> HTTPAuthorizationCredentials | None:
    """The key as the password of HTTP Basic (RFC 7617), which addresses can carry: http://anyone:KEY@host."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        password = base64.b64decode(encoded, validate=True).partition(b":")[2].decode("latin-1")
    except binascii.Error:
        return None
    return HTTPAuthorizationCredentials(scheme="bearer", credentials=password)


def check_role(request: Request, role: Role) -> None:
    """Raise Unauthorized or Forbidden unless the key of a request, which a dependency has found, has this role."""
    caller: Caller | str = request.state.caller
    if not isinstance(caller, Caller):
        raise Unauthorized(role, caller)
    if not caller.role.includes(role):
        who = f"the {'user' if caller.key is None else 'key'} {caller.name}"
        raise Unauthorized(role) if caller is PREDICT_KEY else Forbidden(who, caller.role, role)


reader = _needs(Role.PREDICT)
labeller = _needs(Role.LABEL)
trainer = _needs(Role.TRAIN)
admin = _needs(Role.ADMIN)


async def _caller(request: Request, given: HTTPAuthorizationCredentials | None) -> Caller | str:
    """Who sends the request, else what is wrong with the key, empty if there is none or it is unknown."""
    state = request.app.state
    if given is None:
        return _signed_in(request, state.settings)
    if _is(given, state.admin_key):
        return ADMIN_KEY
    if (key := state.settings.predict_key) is not None and _is(given, key.get_secret_value()):
        return PREDICT_KEY
    keyring: KeyRing = state.keyring
    named = await keyring.find(given.credentials.strip(" "))
    if named is None:
        return ""
    if named.state != "valid":
        return f"the key {named.name} is {named.state}"
    return Caller(named.name, named.role, named.id, named.limits)


def _signed_in(request: Request, settings: Settings) -> Caller | str:
    """The user that the trusted proxy has signed in; a user without a role may do what needs no key."""
    user = signed_in.user(request, settings)
    if user is None:
        return ""
    if user.role is None:
        return f"CATDOG_PROXY_ROLES gives no role to {user.name}"
    return Caller(user.name, user.role)


async def _sees_photos(request: Request) -> bool:
    """Dependency of routes that show names of photos only to some roles; their key was checked before."""
    caller: Caller | str = request.state.caller
    return isinstance(caller, Caller) and caller.role.includes(Role.LABEL)


SeesPhotos = Annotated[bool, Depends(_sees_photos)]


def client_of(request: Request) -> str:
    """What tells the clients of a canary apart: the header `X-Client-Id`, else the named key, else the address."""
    caller: Caller | str = getattr(request.state, "caller", "")
    key = caller.key if isinstance(caller, Caller) else None
    address = request.client.host if request.client else ""
    return request.headers.get("x-client-id") or key or address


def has_admin_role(request: Request) -> bool:
    """Whether a request whose key was checked, if its route requires that, carries one of the role `admin`."""
    caller: Caller | str = getattr(request.state, "caller", "")
    return isinstance(caller, Caller) and caller.role is Role.ADMIN


def _is(given: HTTPAuthorizationCredentials, key: str) -> bool:
    """Compare bytes: headers are decoded as latin-1, but clients may send UTF-8."""
    return compare_digest(given.credentials.strip(" ").encode("latin-1"), key.encode())


def admin_key(settings: Settings) -> str:
    """The key from the settings, else the one in the data folder, which is created at the first start.

    Raises SettingsError if that file can't be created or read.
    """
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    file = settings.data_dir / KEY_FILE
    key = secret_file.read(file, "the admin key", "CATDOG_ADMIN_KEY", lambda: secrets.token_urlsafe(KEY_BYTES))
    if len(key) < LEAST_LETTERS or not key.isascii():
        raise SettingsError(
            f"{file} holds no key of {LEAST_LETTERS} or more ASCII characters; delete it to have one created"
        )
    return key
