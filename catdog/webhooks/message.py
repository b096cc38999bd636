"""What a delivery reports, and its HTTP request, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import binascii
import hmac
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from catdog import __version__

if TYPE_CHECKING:
    from catdog.webhooks.deliveries import Delivery

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
ALLOWED_BYTES: Final = range(24, 65)  # of a secret


class Kind(StrEnum):
    """What an event reports."""

    JOB_ENDED = "job.ended"
    VERSION_PROMOTED = "version.promoted"
    VERSION_ROLLED_BACK = "version.rolled_back"
    DRIFT_BEGAN = "drift.began"
    DRIFT_ENDED = "drift.ended"
    DATASET_CHANGED = "dataset.changed"
    TEST = "webhook.test"


class Status(StrEnum):
    """The status of a delivery."""

    WAITING = "waiting"  # for its next attempt
    DELIVERED = "delivered"  # the receiver has accepted it
    FAILED = "failed"  # it was tried for too long; it can be replayed


def body(delivery: "Delivery") -> bytes:
    """The event as JSON."""
    moment = datetime.fromtimestamp(delivery.happened_at, UTC).isoformat(timespec="milliseconds")
    event = {"type": delivery.kind, "id": delivery.event, "timestamp": moment, "data": delivery.data}
    return json.dumps(event, separators=(",", ":")).encode()


def headers(delivery: "Delivery", content: bytes, keys: Iterable[bytes], now: float) -> dict[str, str]:
    """The headers of an attempt at `now`, in seconds since 1970; signed with each key."""
    timestamp = str(int(now))
    return {
        "Content-Type": "application/json",
        "User-Agent": f"catdog/{__version__}",
        "webhook-id": delivery.event,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signature(key, delivery.event, timestamp, content) for key in keys),
    }


def signature(key: bytes, event: str, timestamp: str, content: bytes) -> str:
    """HMAC-SHA256 of the event's id, the timestamp and the body, so that none can be exchanged."""
    signed = f"{event}.{timestamp}.".encode() + content
    return f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode()}"


def new_secret() -> str:
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret; ValueError says what is wrong with it."""
    form = f"{PREFIX} and {ALLOWED_BYTES[0]} to {ALLOWED_BYTES[-1]} bytes in base64"
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret of webhooks is {form}; this one doesn't begin with {PREFIX}")
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a secret of webhooks is {form}; this one isn't base64 ({error})") from error
    if len(key) not in ALLOWED_BYTES:
        raise ValueError(f"a secret of webhooks is {form}; this one has {len(key)} bytes")
    return key
