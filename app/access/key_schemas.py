"""Request and response schemas of named keys."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.api.jobs.job_schemas import moment, moment_if_known
from catdog.access.roles import LIMIT_BYTES, LIMIT_DAYS, LIMIT_OVERLAP_HOURS, LIMIT_REQUESTS, Limits, Role
from catdog.names import LIMIT_KEY_CHARACTERS

if TYPE_CHECKING:
    from catdog.access import keys as stored

REQUESTS = "Requests a second that it may send; null is the limit of the settings, by default none."
BYTES = "Bytes of request bodies in 24 hours; null is the limit of the settings, by default none."


class KeyLimits(BaseModel):
    """The limits of a key. A limit that is left out or null is that of the settings, by default none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"requests_per_second": 5}})

    requests_per_second: float | None = Field(default=None, gt=0, le=LIMIT_REQUESTS, description=REQUESTS)
    bytes_per_day: int | None = Field(default=None, gt=0, le=LIMIT_BYTES, description=BYTES)

    @property
    def limits(self) -> Limits:
        return Limits(self.requests_per_second, self.bytes_per_day)


class NewKey(KeyLimits):
    """A key to create."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "door-camera", "role": "predict", "expires_days": 90}}
    )

    name: str = Field(max_length=LIMIT_KEY_CHARACTERS, description="Who or what uses it: a-z, A-Z, 0-9, . _ @ and -.")
    role: Role = Field(description="What it may do; each role may do all that the ones before it may.")
    expires_days: float | None = Field(
        default=None, gt=0, le=LIMIT_DAYS, description="Days after which it expires; never by default."
    )


class Rotation(BaseModel):
    """How to replace a key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_hours": 24}})

    overlap_hours: float = Field(
        default=0, ge=0, le=LIMIT_OVERLAP_HOURS, description="Hours that the old key stays valid; 0 revokes it at once."
    )


class NamedKey(BaseModel, frozen=True):
    """A key without its secret."""

    id: str = Field(description="The part of the key after `catdog_`, which isn't secret.")
    name: str
    role: Role
    state: Literal["valid", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = Field(description="When it was last used, exact to a minute.")
    revoked_at: datetime | None
    requests_per_second: float | None = Field(description=REQUESTS)
    bytes_per_day: int | None = Field(description=BYTES)

    @classmethod
    def of(cls, key: "stored.Key") -> Self:
        return cls(
            id=key.id,
            name=key.name,
            role=key.role,
            state=key.state.value,
            created_at=moment(key.created_at),
            expires_at=moment_if_known(key.expires_at),
            used_at=moment_if_known(key.used_at),
            revoked_at=moment_if_known(key.revoked_at),
            requests_per_second=key.requests_per_second,
            bytes_per_day=key.bytes_per_day,
        )


class CreatedKey(NamedKey, frozen=True):
    """A new key, with its secret."""

    key: str = Field(description="The key itself. It is stored nowhere, so this answer alone shows it.")

    @classmethod
    def made(cls, made: "stored.NewKey") -> Self:
        return cls(**dict(NamedKey.of(made.key)), key=made.secret)


class NamedKeys(BaseModel, frozen=True):
    """Every named key, the oldest first."""

    keys: list[NamedKey]
