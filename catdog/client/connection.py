"""How both clients connect."""

from typing import Any, Final

import httpx

from catdog.client.errors import ClientError, Unreachable

URL: Final = "http://127.0.0.1:8000"
TIMEOUT_SECONDS: Final = 60.0  # without a byte in either direction; longer than CATDOG_DEADLINE_SECONDS
PARALLEL: Final = 8
EVENTS: Final = httpx.Timeout(60.0)  # between two lines of a stream, which has a comment every few seconds


def options(url: str, key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Arguments of httpx's clients; ClientError if the address isn't one."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ClientError(f"{url} is no URL ({error}); write it like {URL}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ClientError(f"{url} is no URL of a service; write it like {URL}")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"base_url": parsed, "headers": headers, "timeout": timeout_seconds}


def unreachable(url: str, error: httpx.HTTPError) -> Unreachable:
    """The error of the client for one of httpx."""
    return Unreachable(url, str(error) or type(error).__name__)
