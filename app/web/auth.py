"""API keys: checks who may call an endpoint, before the body is read."""

import logging
import os
import secrets
from hmac import compare_digest
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.errors import Unauthorized
from app.settings import Settings, SettingsError
from catdog.system import durable

logger = logging.getLogger(__name__)

KEY_FILE = "admin.key"
KEY_BYTES = 32
LEAST_LETTERS = 16  # as in the settings

Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="key", description="The admin key or the predict key.")),
]
AdminBearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="admin-key", description="The admin key.")),
]


async def admin(request: Request, given: AdminBearer) -> None:
    """Dependency of routes that write: raises Unauthorized without the admin key."""
    if not _is(given, request.app.state.admin_key):
        raise Unauthorized("admin")


async def reader(request: Request, given: Bearer) -> None:
    """Dependency of predictions and of routes that read: raises Unauthorized if a predict key is set and none came."""
    key = request.app.state.settings.predict_key
    if key and not _is(given, key.get_secret_value()) and not _is(given, request.app.state.admin_key):
        raise Unauthorized("predict")


async def has_admin_key(request: Request, given: Bearer) -> bool:
    """Dependency of routes that show more to the admin."""
    return _is(given, request.app.state.admin_key)


IsAdmin = Annotated[bool, Depends(has_admin_key)]


def carries_admin_key(request: Request) -> bool:
    """Whether a request carries the admin key, even if its route doesn't require it."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return _is(HTTPAuthorizationCredentials(scheme=scheme, credentials=key), request.app.state.admin_key)


def _is(given: HTTPAuthorizationCredentials | None, key: str) -> bool:
    """Compare bytes: headers are decoded as latin-1, but clients may send UTF-8."""
    return given is not None and compare_digest(given.credentials.strip(" ").encode("latin-1"), key.encode())


def admin_key(settings: Settings) -> str:
    """The key from the settings, else the one in the data folder, which is created at the first start.

    Raises SettingsError if that file can't be created or read.
    """
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    file = settings.data_dir / KEY_FILE
    try:
        if not file.exists():
            _make_key(file)
        key = file.read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(
            f"the admin key can't be stored in {file} ({error.strerror}); make it writable, or set CATDOG_ADMIN_KEY"
        ) from error
    if len(key) < LEAST_LETTERS or not key.isascii():
        raise SettingsError(
            f"{file} holds no key of {LEAST_LETTERS} or more ASCII characters; delete it to have one created"
        )
    return key


def _make_key(file: Path) -> None:
    """Create the file atomically. If several services start at once, all use the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        aside.touch(0o600, exist_ok=False)
        aside.write_text(secrets.token_urlsafe(KEY_BYTES) + "\n", "ascii")
        durable.sync(aside)
        os.link(aside, file)
    except FileExistsError:
        return
    finally:
        aside.unlink(missing_ok=True)
    logger.info("the admin key is in %s", file.absolute())
