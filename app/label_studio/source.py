"""Fetches pictures and annotations from the one Label Studio of the settings.

Addresses come in requests, so only those of that Label Studio are fetched, and no redirect is followed: a client
must not make the service read other machines (server-side request forgery).
"""

import base64
import binascii
import json
from collections.abc import Sequence
from functools import cached_property
from http.client import HTTPException
from time import monotonic
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from anyio import CapacityLimiter, create_task_group, to_thread

from app.configuration.setting_types import DEFAULT_PORTS
from app.errors import LabelStudioMissing, PictureUnavailable, ServiceError
from app.settings import Settings

AT_A_TIME: Final = 16  # pictures in memory
FETCHES: Final = 8  # at a time
SECONDS: Final = 10.0  # without an answer
ANNOTATIONS_BYTES: Final = 256 * 2**20
EXCHANGED_SECONDS: Final = 60.0  # for which a short-lived token is used
REFRESH: Final = "api/token/refresh"
JWT_DOTS: Final = 2  # a personal access token of Label Studio is a JSON Web Token; a legacy token has no dots


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none; the answer is then an HTTPError."""


class LabelStudio:
    """The Label Studio of the settings, with its token."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.label_studio_url
        self._token = "" if settings.label_studio_token is None else settings.label_studio_token.get_secret_value()
        self._limit_bytes = settings.max_upload_bytes
        self._exchanged: tuple[float, str] = 0.0, ""  # until when the last short-lived token is used, and the token
        self._threads = CapacityLimiter(FETCHES)

    @cached_property
    def _opener(self) -> OpenerDirector:
        """Built on first use: it reads the system's certificates."""
        return build_opener(_NoRedirects, ProxyHandler({}))

    def check(self) -> None:
        """Raise LabelStudioMissing if the settings name none."""
        if self._url is None:
            raise LabelStudioMissing

    async def pictures(self, addresses: Sequence[str]) -> list[bytes | ServiceError]:
        """The bytes of each picture, or why it can't be fetched, in order."""
        found: dict[int, bytes | ServiceError] = {}

        async def fetch(place: int, address: str) -> None:
            found[place] = await to_thread.run_sync(self._tried, address, limiter=self._threads)

        async with create_task_group() as tasks:
            for place, address in enumerate(addresses):
                tasks.start_soon(fetch, place, address)
        return [found[place] for place in range(len(addresses))]

    async def annotated(self, project: int) -> list[dict[str, Any]]:
        """The tasks of a project that have annotations, as Label Studio exports them; PictureUnavailable."""
        address = f"/api/projects/{project}/export?exportType=JSON"
        content = await to_thread.run_sync(self._get, address, ANNOTATIONS_BYTES, limiter=self._threads)
        tasks: list[dict[str, Any]] = json.loads(content)
        return tasks

    def _tried(self, address: str) -> bytes | ServiceError:
        try:
            return _inline(address) if address.startswith("data:") else self._get(address, self._limit_bytes)
        except ServiceError as error:
            return error

    def _get(self, address: str, limit_bytes: int) -> bytes:
        self.check()
        try:
            url = urljoin(f"{self._url}/", address)
            if _origin(urlsplit(url)) != _origin(urlsplit(str(self._url))):
                raise PictureUnavailable(address, f"only pictures of {self._url} are fetched")
            with self._opener.open(Request(url, headers=self._authorization()), timeout=SECONDS) as answer:  # noqa: S310
                content: bytes = answer.read(limit_bytes + 1)
        except HTTPError as error:
            with error:
                raise PictureUnavailable(address, f"Label Studio answered {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise PictureUnavailable(address, str(error)) from error
        if len(content) > limit_bytes:
            raise PictureUnavailable(address, f"it exceeds the limit of {limit_bytes:,} bytes")
        return content

    def _authorization(self) -> dict[str, str]:
        """The header with the token; a personal access token is exchanged for a short-lived one once a minute."""
        if not self._token:
            return {}
        if self._token.count(".") != JWT_DOTS:
            return {"Authorization": f"Token {self._token}"}
        until, token = self._exchanged
        if monotonic() >= until:
            token = self._exchange()
            self._exchanged = monotonic() + EXCHANGED_SECONDS, token
        return {"Authorization": f"Bearer {token}"}

    def _exchange(self) -> str:
        body = json.dumps({"refresh": self._token}).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(urljoin(f"{self._url}/", REFRESH), body, headers)  # noqa: S310  # the URL of the settings
        with self._opener.open(request, timeout=SECONDS) as answer:
            access: str = json.load(answer)["access"]
        return access


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    return url.scheme, url.hostname or "", url.port or DEFAULT_PORTS.get(url.scheme)


def _inline(address: str) -> bytes:
    """The bytes of a picture that stands in the task itself, as a data URL in base64 (RFC 2397)."""
    head, _, data = address.partition(",")
    try:
        if not head.endswith(";base64"):
            raise PictureUnavailable(head, "a data URL must be in base64")
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise PictureUnavailable(head, f"it isn't base64: {error}") from error
