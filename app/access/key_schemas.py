"""Request and response schemas of named keys."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.api.job_schemas import moment, moment_if_known
from catdog.access.roles import LIMIT_DAYS, LIMIT_OVERLAP_HOURS, Role
from catdog.names import LIMIT_KEY_CHARACTERS

if TYPE_CHECKING:
    from catdog.access import keys as stored


class NewKey(BaseModel):
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
