import ast
import inspect
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from app import environment
from app.main import create_app
from app.settings import OF_COMPOSE, Settings, SettingsError, read_settings, variables
from catdog.database import Database
from catdog.errors import DatabaseUnavailable
from catdog.webhooks import message
from tests.places import ROOT

SERVICE_LINKS = {
    "SERVICE_HOST": "10.96.12.7",
    "SERVICE_PORT": "8000",
    "SERVICE_PORT_HTTP": "8000",
    "PORT": "tcp://10.96.12.7:8000",
    "PORT_8000_TCP": "tcp://10.96.12.7:8000",
    "PORT_8000_TCP_PROTO": "tcp",
    "PORT_8000_TCP_PORT": "8000",
    "PORT_8000_TCP_ADDR": "10.96.12.7",
    "PORT_53_UDP": "udp://10.96.12.7:53",
    "PORT_99_SCTP_ADDR": "10.96.12.7",
}

README = ROOT / "README.md"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment and a folder without settings."""
    for name in [name for name in os.environ if name.upper().startswith("CATDOG_") or name in {"HOST", "PORT"}]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_settings_only_this_machine_gets_in() -> None:
    assert read_settings().address == "http://127.0.0.1:8000"


def test_each_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATDOG_MODELS_DIR", "/elsewhere")
    monkeypatch.setenv("CATDOG_PRECISION", "f32")
    monkeypatch.setenv("CATDOG_THREADS", "3")

    settings = read_settings()

    assert settings.models_dir == Path("/elsewhere")
    assert settings.precision == "f32"
    assert settings.threads == 3


def test_host_and_port_work_bare_and_the_longer_names_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "9000")
    assert read_settings().address == "http://[::1]:9000"

    monkeypatch.setenv("CATDOG_PORT", "9001")
    assert read_settings().port == 9001


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CATDOG_THREADS=2\nPORT=9000\nOF_SOMEONE_ELSE=1\n", encoding="utf-8")
    assert (read_settings().threads, read_settings().port) == (2, 9000)

    monkeypatch.setenv("CATDOG_THREADS", "4")
    assert read_settings().threads == 4


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATDOG_THREADS", "")

    assert read_settings().threads is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CATDOG_PORT", "eighty"),
        ("PORT", "65536"),
        ("CATDOG_PRECISION", "f64"),
        ("CATDOG_THREADS", "0"),
        ("CATDOG_MAX_UPLOAD_BYTES", "-1"),
        ("CATDOG_DRAIN_SECONDS", "soon"),
        ("CATDOG_ENGINE", "torch"),
        ("CATDOG_STREAMS", "0"),
        ("CATDOG_QUEUE_ITEMS", "0"),
        ("CATDOG_DEADLINE_SECONDS", "0"),
        ("CATDOG_DEADLINE_SECONDS", "inf"),
        ("CATDOG_HEAD_SECONDS", "nan"),
        ("CATDOG_LEAVE_SECONDS", "inf"),
        ("CATDOG_MAX_DELAY_MILLISECONDS", "inf"),
        ("CATDOG_CACHE_ITEMS", "-1"),
        ("CATDOG_UNKNOWN_KEEP", "0.05"),
        ("CATDOG_UNKNOWN_KEEP", "95"),
        ("CATDOG_UNKNOWN_KEEP", "nan"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=f"^the settings are wrong:\n  {variable}={value}: "):
        read_settings()


def test_an_engine_that_has_not_the_precision_says_what_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATDOG_PRECISION", "int8")
    assert read_settings().precision == "int8"

    monkeypatch.setenv("CATDOG_ENGINE", "keras")
    with pytest.raises(SettingsError, match="CATDOG_PRECISION=int8: CATDOG_ENGINE=keras has no int8; choose auto, "):
        read_settings()


def test_an_engine_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)  # as if it weren't
    create_app(Settings())

    with pytest.raises(
        SettingsError, match="CATDOG_ENGINE=keras needs Keras, which isn't installed; run `make trainer`"
    ):
        create_app(Settings(engine="keras"))


def test_a_cluster_needs_ray_and_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CATDOG_WORKER", "ray")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(SettingsError, match=r"CATDOG_WORKER=ray: this needs ray, .*pip install '.\[ray\]'"):
        read_settings()

    (tmp_path / "ray.py").touch()  # as if it were installed
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="CATDOG_WORKER=ray: set RAY_AUTH_MODE=token "):
        read_settings()

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert (read_settings().worker, read_settings().ray_address) == ("ray", "auto")


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CATDOG_PROT=1\n", encoding="utf-8")
    monkeypatch.setenv("CATDOG_THREADS", "many")

    with pytest.raises(SettingsError) as caught:
        read_settings()

    assert "CATDOG_PROT: there is no such setting; did you mean CATDOG_PORT?" in str(caught.value)
    assert "CATDOG_THREADS=many: " in str(caught.value)


def test_what_only_the_compose_files_read_may_stand_in_the_same_file() -> None:
    files = "".join(file.read_text("utf-8") for file in ROOT.glob("docker-compose*.yml"))
    theirs = set(re.findall(r"\$\{(CATDOG_\w+)", files)) - set(variables())
    Path(".env").write_text("".join(f"{name}=any\n" for name in theirs), encoding="utf-8")

    read_settings()

    assert theirs == set(OF_COMPOSE)


def test_links_that_kubernetes_makes_for_services_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("CATDOG", "CATDOG_API", "CATDOG_2_MODELS"):
        for end, value in SERVICE_LINKS.items():
            monkeypatch.setenv(f"{service}_{end}", value)
    assert read_settings().port == 8000

    monkeypatch.setenv("PORT", "9000")
    assert read_settings().port == 9000


@pytest.mark.parametrize(
    "name", ["CATDOG_POTR", "CATDOG_HTTP_PORT", "CATDOG_PORTS", "CATDOG_PORT_8000", "CATDOG_SERVICE"]
)
def test_a_misspelt_setting_is_refused_though_links_are_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8000")

    with pytest.raises(SettingsError, match=f"{name}: there is no such setting"):
        read_settings()


@pytest.mark.parametrize("value", ["x86_64-conda-linux-gnu", "a-machine", "example.com", "256.1.1.1"])
def test_a_bare_host_that_holds_no_address_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOST", value)

    assert read_settings().host == "127.0.0.1"
    assert [f"HOST={value} is not an address" in warning for warning in environment.passed_over()] == [True]

    monkeypatch.setenv("CATDOG_HOST", "0.0.0.0")  # noqa: S104
    assert environment.passed_over() == []


def test_urls_and_secrets_of_webhooks_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    good, another = (message.new_secret() for _ in range(2))
    monkeypatch.setenv("CATDOG_WEBHOOK_URLS", "https://example.com/a?b=c, http://10.0.0.5:9000")
    monkeypatch.setenv("CATDOG_WEBHOOK_SECRET", f"{good},{another}")
    assert read_settings().webhook_urls == ("https://example.com/a?b=c", "http://10.0.0.5:9000")

    monkeypatch.setenv("CATDOG_WEBHOOK_SECRET", f"{good},whsec_s3cr3t")
    for wrong in ("example.com", "ftp://s3cr3t.com", "https://me:s3cr3t@x.com", "https://x.com/#s3cr3t", "https://x/ä"):
        monkeypatch.setenv("CATDOG_WEBHOOK_URLS", wrong)
        with pytest.raises(SettingsError, match="CATDOG_WEBHOOK_URLS: an entry is not a URL") as caught:
            read_settings()
        assert "CATDOG_WEBHOOK_SECRET: a secret of webhooks is whsec_ and 24 to 64 bytes" in str(caught.value)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["CATDOG_ADMIN_KEY", "CATDOG_PREDICT_KEY", "CATDOG_DATABASE_URL", "CATDOG_ADMIN_KYE", "CATDOG_ALLOWED_HOSTS"],
)
def test_an_error_never_tells_the_value_of_a_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CATDOG_THREADS", "none")
    monkeypatch.setenv(name, "s3cr3t" if name != "CATDOG_ALLOWED_HOSTS" else "*")

    with pytest.raises(SettingsError) as caught:
        read_settings()

    assert "s3cr3t" not in str(caught.value)
    assert "Value error" not in str(caught.value)
    if "_KEY" in name:
        assert f"{name}: a key needs at least 16 characters, and this one has 6" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cr3t@host:port/name",
        "postgresql://user:p@s3cr3t@127.0.0.1:1/name",
        "nosuch://user:s3cr3t@host/name",
        "sqlite://user:s3cr3t@host/name",
        "oracle://user:s3cr3t@host/name",
        "postgresql://user:s3cr3t@127.0.0.1:1/name",
    ],
)
def test_no_error_tells_the_password_of_a_database(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, Database.of(tmp_path, url).reading():
        pass

    assert "s3cr3t" not in caught.value.reason + str(caught.value)


def test_settings_never_show_a_password() -> None:
    settings = Settings(database_url="postgresql://user:s3cr3t@host/name", admin_key=SecretStr("s3cr3t" * 3))

    assert "s3cr3t" not in repr(settings)


def test_settings_never_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


def test_every_setting_tells_its_default() -> None:
    parts = (part for part in Settings.__mro__ if part.__module__.startswith("app."))
    nodes = (node for part in parts for node in ast.parse(inspect.getsource(part)).body)
    bodies = (node.body for node in nodes if isinstance(node, ast.ClassDef))
    told = {
        ast.unparse(field.target): ast.unparse(following)
        for body in bodies
        for field, following in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr)
    }

    assert told.keys() == Settings.model_fields.keys()
    assert [name for name, docstring in told.items() if "default" not in docstring] == []


def test_the_readme_explains_every_setting() -> None:
    explained = README.read_text("utf-8")

    assert [variable for variable in variables() if variable not in explained] == []


def test_a_settings_file_that_cannot_be_read_is_one_message() -> None:
    Path(".env").write_bytes(b"CATDOG_PORT=\xff\xfe")

    with pytest.raises(SettingsError, match=r"the file \.env can't be read"):
        read_settings()


def test_a_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(Settings.model_config, "secrets_dir", tmp_path)
    (tmp_path / "catdog_admin_key").write_text("kept from everyone else\n")
    assert read_settings().admin_key == SecretStr("kept from everyone else")

    monkeypatch.setenv("CATDOG_ADMIN_KEY", "the environment's own")
    assert read_settings().admin_key == SecretStr("the environment's own")
