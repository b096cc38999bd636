import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import Settings, SettingsError
from app.web.auth import admin_key
from tests.app.service import ADMIN, ADMIN_KEY, Service, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

PREDICT_KEY = "a key for predictions, with an ö"
MAKE_A_KEY = """
import logging, sys
from pathlib import Path
from app.web.auth import admin_key
from app.settings import Settings
logging.basicConfig(level=logging.INFO)
sys.stdin.read()
print(admin_key(Settings(data_dir=Path(sys.argv[1]))))
"""


def bearing(key: str | bytes, scheme: str = "Bearer") -> dict[bytes, bytes]:
    return {b"Authorization": scheme.encode() + b" " + (key.encode() if isinstance(key, str) else key)}


@pytest.fixture(scope="module")
def guarded(models_dir: Path) -> Iterator[Service]:
    """A service that requires a key for predictions too."""
    with serving(models_dir, predict_key=SecretStr(PREDICT_KEY)) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearing("wrong"),
        bearing("grün"),
        bearing("grün".encode("latin-1")),
        bearing(ADMIN_KEY, "Basic"),
        bearing(ADMIN_KEY + "x"),
        bearing(PREDICT_KEY),
        {b"Authorization": b"Bearer"},
        {b"Authorization": ADMIN_KEY.encode()},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/models/1/promote"), ("POST", "/models/x/promote"), ("POST", "/rollback"), ("DELETE", "/models/1")],
)
def test_changing_something_needs_the_admin_key(
    guarded: Service, method: str, path: str, headers: dict[bytes, bytes]
) -> None:
    response = guarded.client.request(method, path, headers=headers)

    check(response, "unauthorized", 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "admin key" in response.json()["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_admin_key_opens(service: Service, scheme: str) -> None:
    assert service.client.post("/models/1/promote", headers=bearing(ADMIN_KEY, scheme)).is_success


@pytest.mark.parametrize("path", ["/model", "/models", "/models/1", "/models/x", "/models/1/report"])
def test_looking_needs_a_key_where_one_is_set(guarded: Service, path: str) -> None:
    check(guarded.client.get(path), "unauthorized", 401)
    check(guarded.client.get(path, headers=bearing("wrong")), "unauthorized", 401)
    for headers in (bearing(PREDICT_KEY), bearing(ADMIN_KEY)):
        assert guarded.client.get(path, headers=headers).status_code != 401


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_predictions_need_a_key_where_one_is_set(guarded: Service, jpeg: bytes, path: str) -> None:
    check(guarded.client.post(path, files={"file": jpeg}), "unauthorized", 401)
    for headers in (bearing(PREDICT_KEY), bearing(ADMIN_KEY)):
        assert guarded.client.post(path, files={"file": jpeg}, headers=headers).is_success


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json"])
def test_what_is_no_secret_needs_no_key(guarded: Service, path: str) -> None:
    assert guarded.client.get(path).is_success


def test_a_key_is_missed_before_a_champion_is(tmp_path: Path) -> None:
    with serving(tmp_path, predict_key=SecretStr(PREDICT_KEY)) as service:
        check(service.client.post("/predict"), "unauthorized", 401)
        check(service.client.post("/predict", headers=ADMIN), "not-ready", 503)


def test_a_key_of_the_settings_is_written_nowhere(tmp_path: Path) -> None:
    assert admin_key(Settings(data_dir=tmp_path, admin_key=SecretStr(ADMIN_KEY))) == ADMIN_KEY
    assert list(tmp_path.iterdir()) == []


def test_several_services_that_start_at_once_have_one_key_and_one_says_where(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE_A_KEY, str(tmp_path / "data")]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = [process.communicate() for process in processes]

    (key,) = {out for out, _ in said}
    file = tmp_path / "data" / "admin.key"
    assert len(key.strip()) == 43
    assert file.read_text() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert [error for _, error in said if error] == [f"INFO:app.secret_file:the admin key is in {file}\n"]


def test_a_key_stays_the_same_from_start_to_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    assert admin_key(settings) == admin_key(settings)


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", "ein Schlüssel für alles".encode(), b"\xff" * 40])
def test_a_file_that_holds_no_key_opens_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "admin.key").write_bytes(content)

    with pytest.raises(SettingsError, match="holds no key"):
        admin_key(Settings(data_dir=tmp_path))


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(SettingsError, match=r"the admin key can't be stored in .*data/admin.key \(.+\)"):
        admin_key(Settings(data_dir=tmp_path / "data"))
