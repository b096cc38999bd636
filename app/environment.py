"""Separates settings in the environment from other programs' variables with similar names."""

import ipaddress
import os
import re
from collections.abc import Mapping

from dotenv import dotenv_values

PREFIX = "CATDOG_"
ENV_FILE = ".env"
BARE = ("HOST", "PORT")  # settings that also work without the prefix

# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(
    r"CATDOG(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_LINK = re.compile(r"CATDOG(_\w+)?_PORT")
_PORT_VALUE = re.compile(r"(tcp|udp|sctp)://")


def is_service_link(name: str, value: str | None) -> bool:
    """Whether Kubernetes set the variable for a Service whose name begins with `catdog`."""
    name = name.upper()
    if _SERVICE_LINK.fullmatch(name):
        return True
    return bool(_PORT_LINK.fullmatch(name) and _PORT_VALUE.match(value or ""))


def is_host(value: str | None) -> bool:
    """Whether a bare HOST holds an address to listen on: shells put the machine's name in it, conda a platform's."""
    try:
        ipaddress.ip_address(value or "")
    except ValueError:
        return value == "localhost"
    return True


def without_others(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables without other programs' variables that are named like a setting."""
    return {
        name: value
        for name, value in variables.items()
        if not is_service_link(name, value) and (name.upper() != "HOST" or is_host(value))
    }


def given() -> dict[str, str | None]:
    """Every variable of `.env` and of the environment, which takes precedence, by its name in upper case."""
    return {name.upper(): value for name, value in (*dotenv_values(ENV_FILE).items(), *os.environ.items())}


def passed_over() -> list[str]:
    """A sentence for each variable that looks like a setting but is ignored."""
    variables = given()
    if not variables.get("HOST") or variables.get("CATDOG_HOST") or is_host(variables["HOST"]):
        return []
    return [f"HOST={variables['HOST']} is not an address and is ignored; CATDOG_HOST sets the address to listen on"]


def bare_or(name: str) -> str:
    """The variable that sets this setting: HOST or PORT if only the short name is set, else `name`."""
    variables, bare = without_others(given()), name.removeprefix(PREFIX)
    return bare if bare in BARE and variables.get(bare) and not variables.get(name) else name


def source_of_address() -> str:
    """The variables that set the address, as NAME=value; empty if none does."""
    variables = without_others(given())
    names = [bare_or(f"{PREFIX}{bare}") for bare in BARE]
    return ", ".join(f"{name}={variables[name]}" for name in names if variables.get(name))
