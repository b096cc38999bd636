"""Named keys over HTTP, and the commands of the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.app.access.test_matrix import PAGE
from tests.app.service import ADMIN_KEY, Service
from tests.app.web.test_problem_details import check
from tests.command.running import Catdog
from tests.newcomer import ADDRESS, blocks
from tests.places import ROOT


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_lives_from_its_creation_to_its_revocation(keeper: Service) -> None:
    created = keeper.client.post("/keys", json={"name": "ann", "role": "label", "expires_days": 7})
    assert (created.status_code, created.headers["Cache-Control"]) == (201, "no-store")
    key = created.json().pop("key")
    assert keeper.client.get("/review", headers=bearer(key)).is_success
    refused = keeper.client.post("/rollback", headers=bearer(key))
    check(refused, "forbidden", 403)
    assert refused.json()["detail"] == "the key ann has the role label, and this needs the role admin; use another key"

    rotated = keeper.client.post("/keys/ann/rotate", json={}).json()
    replaced = keeper.client.get("/review", headers=bearer(key))
    check(replaced, "unauthorized", 401)
    assert replaced.json()["detail"].startswith("the key ann is revoked; this needs the admin key or one with the role")
    assert keeper.client.get("/review", headers=bearer(rotated["key"])).is_success

    assert [one["state"] for one in keeper.client.delete("/keys/ann").json()["keys"]] == ["revoked"]
    assert keeper.client.get("/review", headers=bearer(rotated["key"])).status_code == 401
    listed = keeper.client.get("/keys")
    assert [(one["name"], one["state"]) for one in listed.json()["keys"]] == [("ann", "revoked")] * 2
    assert key not in listed.text


def test_what_is_wrong_with_a_request_is_said(keeper: Service) -> None:
    assert keeper.client.post("/keys", json={"name": "ann", "role": "label"}).is_success

    check(keeper.client.post("/keys", json={"name": "ann", "role": "admin"}), "key-exists", 409)
    check(keeper.client.post("/keys", json={"name": "a b", "role": "admin"}), "invalid-key-name", 422)
    check(keeper.client.post("/keys", json={"name": "ben", "role": "owner"}), "invalid-request", 422)
    check(keeper.client.delete("/keys/ben"), "key-not-found", 404)


def test_photos_and_their_names_are_shown_from_the_role_label_on(keeper: Service) -> None:
    report = keeper.app.state.settings.models_dir / "1" / "report" / "worst-mistakes.png"
    report.write_bytes(b"photos")
    keys = {role: keeper.app.state.database.keys.create(role, role).secret for role in ("predict", "label")}

    statuses = [keeper.client.get(f"/models/1/report/{report.name}", headers=bearer(key)) for key in keys.values()]

    assert [response.status_code for response in statuses] == [403, 200]


def test_the_command_prints_the_same_json_as_the_service(keeper: Service, tmp_path: Path) -> None:
    catdog, data = Catdog(tmp_path), str(tmp_path / "data")

    made = json.loads(catdog.run("keys", "create", "robot", "--role", "label", "--json", CATDOG_DATA_DIR=data).stdout)
    listed = catdog.run("keys", "list", "--json", CATDOG_DATA_DIR=data).stdout.splitlines()

    assert [json.loads(line) for line in listed] == keeper.client.get("/keys").json()["keys"]
    assert keeper.client.get("/review", headers=bearer(made["key"])).is_success


@pytest.mark.whole
def test_every_command_of_the_page_works_as_typed(keeper: Service, tmp_path: Path) -> None:
    """With `catdog` as this checkout's, and the service at its own port."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "catdog"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m command "$@"\n')
    program.chmod(0o755)
    (tmp_path / "app").symlink_to(ROOT / "app")
    (tmp_path / "data" / "admin.key").write_text(ADMIN_KEY)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CATDOG_DATA_DIR": str(tmp_path / "data"),
    }
    lines = [line for block in blocks(PAGE) for line in block.splitlines()]
    assert len(lines) > 8
    for line in lines:
        command = line.replace(ADDRESS, httpx.URL(keeper.client.base_url).netloc.decode())
        command = command.replace("curl ", "curl -sS --fail-with-body ")
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
