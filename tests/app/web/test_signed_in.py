"""Users whom a trusted proxy has signed in, in the headers of oauth2-proxy."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from app.configuration.setting_types import RoleGrant
from app.settings import Settings, SettingsError, read_settings
from catdog.access.roles import Role
from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

PROXY, OTHER = "127.0.0.2", "127.0.0.3"  # addresses of this machine
GRANTS = (
    RoleGrant(Role.ADMIN, "ann@example.com"),
    RoleGrant(Role.LABEL, "labellers"),
    RoleGrant(Role.PREDICT, "*@example.com"),
)


@pytest.fixture(scope="module")
def guarded(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that requires a key or a user, and trusts the users of PROXY."""
    data = tmp_path_factory.mktemp("data")
    settings = {"proxy_address": ip_address(PROXY), "proxy_roles": GRANTS, "key_required": True, "worker": "none"}
    with serving(models_dir, data_dir=data, **settings) as service:  # type: ignore[arg-type]
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def asked(service: Service, method: str, path: str, sender: str = PROXY, **headers: str) -> httpx.Response:
    """The answer to a request from an address of this machine, with headers such as email=..."""
    forwarded = {f"X-Forwarded-{name.replace('_', '-')}": value for name, value in headers.items()}
    transport = httpx.HTTPTransport(local_address=sender)
    with httpx.Client(transport=transport, base_url=service.client.base_url, timeout=60) as client:
        return client.request(method, path, headers=forwarded)


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ({"email": "ann@example.com"}, Role.ADMIN),
        ({"email": "Ann@Example.com", "groups": "others"}, Role.ADMIN),
        ({"email": "bob@elsewhere.com", "groups": "others, Labellers"}, Role.LABEL),
        ({"user": "carl", "groups": "labellers"}, Role.LABEL),
        ({"email": "dora@example.com"}, Role.PREDICT),
    ],
)
def test_a_user_has_the_highest_role_that_is_given(guarded: Service, headers: dict[str, str], role: Role) -> None:
    needed = {Role.PREDICT: ("GET", "/model"), Role.LABEL: ("GET", "/review"), Role.ADMIN: ("GET", "/keys")}

    for each, (method, path) in needed.items():
        status = 200 if role.includes(each) else 403
        assert asked(guarded, method, path, **headers).status_code == status, path


@pytest.mark.parametrize(
    "headers",
    [{"groups": "labellers"}, {"email": ""}, {"email": "eve@example.com.evil.com"}, {"email": "ann@example.com.evil"}],
)
def test_a_user_without_a_name_or_a_role_needs_a_key(guarded: Service, headers: dict[str, str]) -> None:
    check(asked(guarded, "GET", "/model", **headers), "unauthorized", 401)


def test_a_user_without_a_role_is_told_why(guarded: Service) -> None:
    refused = asked(guarded, "GET", "/model", email="eve@elsewhere.com")

    assert "CATDOG_PROXY_ROLES gives no role to eve@elsewhere.com" in refused.json()["detail"]


@pytest.mark.parametrize("forwarded", [{}, {"for": PROXY}, {"for": f"{PROXY}, {PROXY}", "proto": "https"}])
def test_the_headers_of_others_are_ignored(guarded: Service, forwarded: dict[str, str]) -> None:
    for sender in ("127.0.0.1", OTHER):
        refused = asked(guarded, "GET", "/keys", sender, email="ann@example.com", **forwarded)
        check(refused, "unauthorized", 401)


def test_without_the_setting_nobody_s_headers_count(keeper: Service) -> None:
    del keeper.client.headers["Authorization"]

    check(keeper.client.get("/keys", headers={"X-Forwarded-Email": "ann@example.com"}), "unauthorized", 401)


def test_a_key_counts_more_than_the_user(guarded: Service) -> None:
    headers = {**ADMIN, "X-Forwarded-Email": "dora@example.com"}
    transport = httpx.HTTPTransport(local_address=PROXY)
    with httpx.Client(transport=transport, base_url=guarded.client.base_url) as client:
        assert client.get("/keys", headers=headers).is_success


def test_the_audit_log_names_the_user(guarded: Service) -> None:
    assert asked(guarded, "POST", "/rollback", email="ann@example.com").status_code == 409

    (entry,) = asked(guarded, "GET", "/audit?action=rollback", email="ann@example.com").json()["entries"]
    assert (entry["key"], entry["status"]) == ("ann@example.com", 409)


def test_pages_of_other_sites_can_t_use_the_sign_in(guarded: Service) -> None:
    transport = httpx.HTTPTransport(local_address=PROXY)
    with httpx.Client(transport=transport, base_url=guarded.client.base_url) as client:
        headers = {"X-Forwarded-Email": "ann@example.com", "Origin": "https://evil.example"}
        check(client.post("/rollback", headers=headers), "cross-origin", 403)


def test_the_settings_are_read_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATDOG_PROXY_ADDRESS", "10.0.0.5")
    monkeypatch.setenv("CATDOG_PROXY_ROLES", "admin=Ann@example.com, predict=*")
    assert read_settings().proxy_roles == (RoleGrant(Role.ADMIN, "ann@example.com"), RoleGrant(Role.PREDICT, "*"))
    assert Settings().proxy_address == ip_address("10.0.0.5")

    monkeypatch.setenv("CATDOG_PROXY_ROLES", "boss=ann@example.com")
    with pytest.raises(SettingsError, match=r"CATDOG_PROXY_ROLES.*write ROLE=WHO"):
        read_settings()
