"""Types of settings that need validation."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from catdog.access.roles import Role
from catdog.errors import DatasetError
from catdog.names import checked_dataset_name
from catdog.policy.rules import checked_schedule
from catdog.system.location import parsed
from catdog.webhooks import message

EVERY = "*"
NULL = "null"
AUTO = "auto"
MOST_PROCESSES = 256
DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_PATTERN = re.compile(rf"(\*\.)?{_NAME.pattern}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class Place(NamedTuple):
    """Host name of a URL in lower case, and its port, by default the scheme's."""

    name: str
    port: int | None


def place(url: str) -> Place | None:
    """Parse a URL; None if it has no valid host, as the origin `null`."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:  # brackets without an address in them, or a port that isn't a number
        return None
    if not name or parts.username is not None:
        return None
    return Place(name.removesuffix("."), port or DEFAULT_PORTS.get(parts.scheme))


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def host(value: str) -> str:
    """Normalize one host of CATDOG_ALLOWED_HOSTS to lower case; ValueError says what to write instead."""
    name = value.lower().removesuffix(".")
    if name == EVERY or _PATTERN.fullmatch(name) or is_address(name):
        return name
    instead = _host_in(value)
    raise ValueError(f"{value!r} can never match; write {instead or 'a name such as app.example.com or *.example.com'}")


def matches(name: str, hosts: frozenset[str]) -> bool:
    """Whether a name in lower case is one of the hosts, or a subdomain of one that begins with `*.`."""
    return name in hosts or any(each[:2] == "*." and name.endswith(each[1:]) and name != each[1:] for each in hosts)


def origin(value: str) -> str:
    """Normalize one origin of CATDOG_CORS_ORIGINS to what browsers send; ValueError says what to write instead."""
    if value in (EVERY, NULL):
        return value
    scheme, separator, rest = value.lower().partition("://")
    found = place(f"{scheme}://{rest}") if separator and _SCHEME.fullmatch(scheme) else None
    if found is None or not (_NAME.fullmatch(found.name) or is_address(found.name)):
        bare = _host_in(value)
        example = f"https://{bare}" if bare and "*" not in bare else "https://app.example.com"
        raise ValueError(f"{value!r} is not an origin; write scheme, name and, if needed, port, such as {example}")
    written = _written(scheme, found)
    if re.search(r"[/?#]", rest):
        raise ValueError(f"{value!r} can never match, because an origin has no path; write {written}")
    return written


def _written(scheme: str, found: Place) -> str:
    name = f"[{found.name}]" if ":" in found.name else found.name
    port = "" if found.port in (None, DEFAULT_PORTS.get(scheme)) else f":{found.port}"
    return f"{scheme}://{name}{port}"


def _host_in(value: str) -> str | None:
    """The host that was meant by a URL, a port, brackets, a leading dot, or letters beyond ASCII; None if unclear."""
    text = value.strip().lower()
    if text.startswith("."):
        text = f"*{text}"
    found = place(text if "://" in text else f"//{text}")
    if found is None:
        return None
    try:
        name = found.name if found.name.isascii() else found.name.encode("idna").decode()
    except UnicodeError:
        return None
    return name if _PATTERN.fullmatch(name) or is_address(name) else None


KEY_CHARACTERS = 16


def _address(value: str) -> str:
    is_name = not re.search(r"[\s:/\[\]@?#*]", value)
    if not is_name and not is_address(value):
        raise ValueError("write an address or a name alone, without scheme, port, brackets or path")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value) < KEY_CHARACTERS:
        raise ValueError(f"a key needs at least {KEY_CHARACTERS} characters, and this one has {len(value)}")
    return value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _processes(value: object) -> object:
    text = str(value)
    if text != AUTO and not (text.isascii() and text.isdecimal() and 0 < int(text) <= MOST_PROCESSES):
        raise ValueError(f"write a number of processes from 1 to {MOST_PROCESSES}, or {AUTO}")
    return AUTO if text == AUTO else int(text)


class RoleGrant(NamedTuple):
    """A role for a user, a group, `*@example.com` or `*`, in lower case."""

    role: Role
    to: str


def _grant(value: object) -> object:
    if isinstance(value, RoleGrant):
        return value
    role, separator, to = str(value).partition("=")
    if role.strip() not in list(Role) or not separator or not to.strip():
        raise ValueError(
            f"{value!r} is not a role for someone; write ROLE=WHO, such as label=ann@example.com, with one of the roles"
            f" {', '.join(Role)}"
        )
    return RoleGrant(Role(role.strip()), to.strip().casefold())


def _dataset(value: str) -> str:
    try:
        return checked_dataset_name(value)
    except DatasetError as error:
        raise ValueError(str(error)) from error


def _webhook(value: str) -> str:
    """Errors don't show the URL, which may contain a password of the receiver."""
    found = place(value)
    if found is None or not re.fullmatch(r"https?://[!-~]+", value) or "#" in value:
        raise ValueError(
            "an entry is not a URL that events can be sent to; write https:// or http://, a host, and a path in ASCII,"
            " without user name, password and fragment, such as https://example.com/hooks/catdog"
        )
    return value


def _secrets(value: SecretStr) -> SecretStr:
    for one in webhook_secrets(value):
        message.key_of(one)
    return value


def webhook_secrets(value: SecretStr) -> tuple[str, ...]:
    """The secrets in a CATDOG_WEBHOOK_SECRET."""
    return tuple(one.strip() for one in value.get_secret_value().split(","))


def _folder_or_url(value: object) -> object:
    return parsed(value) if isinstance(value, str) else value


_between_commas = BeforeValidator(_split)

ListeningAddress = Annotated[str, AfterValidator(_address)]
FolderOrUrl = Annotated[Path | str, BeforeValidator(_folder_or_url)]
Processes = Annotated[int | Literal["auto"], BeforeValidator(_processes)]
Key = Annotated[SecretStr, AfterValidator(_long_enough)]
WebhookUrls = Annotated[tuple[Annotated[str, AfterValidator(_webhook)], ...], NoDecode, _between_commas]
WebhookSecret = Annotated[SecretStr, AfterValidator(_secrets)]
Schedule = Annotated[str, AfterValidator(checked_schedule)]
DatasetName = Annotated[str, AfterValidator(_dataset)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(host)], ...], NoDecode, _between_commas]
Origins = Annotated[tuple[Annotated[str, AfterValidator(origin)], ...], NoDecode, _between_commas]
# An infinite time would limit nothing and block the exit.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Grants = Annotated[tuple[Annotated[RoleGrant, BeforeValidator(_grant)], ...], NoDecode, _between_commas]
