"""The versions of the store over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catdog.versions.manifest import Decision
from catdog.versions.store import Store
from tests.app.service import ADMIN, Service, publish, serving
from tests.app.web.test_problem_details import check
from tests.waiting import until

DECISION = Decision(promote=True, reason="better", champion=1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Version 1 serves; 2 knows another class, 3 can't be read, 4 has a decision."""
    publish(tmp_path)
    publish(tmp_path, ("cat", "fox"), metrics={})
    publish(tmp_path)
    publish(tmp_path, decision=DECISION)
    (tmp_path / "3" / "manifest.json").write_text("{}")
    with serving(tmp_path) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


def test_versions_are_listed_newest_first_with_what_is_wrong_with_them(service: Service) -> None:
    four, three, two, one = service.client.get("/models").json()["versions"]

    assert [one["version"], two["version"], three["version"], four["version"]] == [1, 2, 3, 4]
    assert [one["champion"], two["champion"], three["champion"], four["champion"]] == [True, False, False, False]
    assert one["classes"] == ["cat", "dog"]
    assert one["strategy"] == "full"
    assert one["created"] == "2026-03-01T12:00:00Z"
    assert one["metrics"]["validation"]["accuracy"] == 0.5
    assert one["problem"] is None
    assert [each["served"] for each in (one, two, four)] == [True, False, False]
    assert one["photos"] == {"train": {"cat": 1, "dog": 1}}
    assert [each["measured_like_champion"] for each in (one, two, three)] == [True, True, None]
    assert "version 3 can't be used" in three["problem"]
    assert three["classes"] is None
    assert four["decision"] == json.loads(DECISION.model_dump_json())


def test_a_list_of_versions_follows_the_pointer(service: Service, tmp_path: Path) -> None:
    Store(tmp_path).promote(2)

    champions = [
        version["version"] for version in service.client.get("/models").json()["versions"] if version["champion"]
    ]

    assert champions == [2]
    assert [each["served"] for each in service.client.get("/models").json()["versions"]] == [False, False, True, True]


def test_a_store_without_versions_lists_none(tmp_path: Path) -> None:
    with serving(tmp_path / "nothing", data_dir=tmp_path) as service:
        assert service.client.get("/models").json() == {"versions": []}


def test_a_version_is_compared_with_the_champion(service: Service) -> None:
    two = service.client.get("/models/2").json()

    comparison = two["comparison"]
    assert two["version"] == 2
    assert not two["champion"]
    assert two["training"]["parent"] is None
    assert two["training"]["job"] is None
    assert two["training"]["photos"] == {"train": {"cat": 1, "fox": 1}}
    assert comparison["champion"] == 1
    assert comparison["classes_added"] == ["fox"]
    assert comparison["classes_removed"] == ["dog"]
    assert comparison["metrics"]["validation"]["version"] is None
    assert comparison["metrics"]["validation"]["champion"]["photos"] == 100


def test_the_champion_is_compared_with_nothing(service: Service) -> None:
    one = service.client.get("/models/1").json()

    assert one["champion"]
    assert one["comparison"] is None


def test_a_version_tells_its_decision_and_not_the_paths_of_who_trained_it(service: Service) -> None:
    response = service.client.get("/models/4")

    assert response.json()["decision"]["reason"] == "better"
    assert "/home/someone" not in response.text


def test_a_report_is_listed_and_served(service: Service, tmp_path: Path) -> None:
    (tmp_path / "1" / "report" / "loss.png").write_bytes(b"a picture")
    (tmp_path / "1" / "report" / "page.html").write_text("<script>")

    assert service.client.get("/models/1/report").json() == {
        "files": [
            {"name": "history.csv", "bytes": 11, "needs_admin_key": False},
            {"name": "loss.png", "bytes": 9, "needs_admin_key": False},
            {"name": "page.html", "bytes": 8, "needs_admin_key": True},
        ]
    }
    for name, content_type in (
        ("history.csv", "text/csv; charset=utf-8"),
        ("loss.png", "image/png"),
        ("page.html", "application/octet-stream"),
    ):
        file = service.client.get(f"/models/1/report/{name}", headers=ADMIN)
        assert file.content == (tmp_path / "1" / "report" / name).read_bytes()
        assert file.headers["Content-Type"] == content_type
        assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_a_version_may_have_no_report(service: Service, tmp_path: Path) -> None:
    (tmp_path / "1" / "report" / "history.csv").unlink()
    (tmp_path / "1" / "report").rmdir()

    assert service.client.get("/models/1/report").json() == {"files": []}


@pytest.mark.parametrize(
    "name",
    ["nothing.png", "..", ".", "%2e%2e", "..%2Fmanifest.json", "..%5Cmanifest.json", "%2Fetc%2Fpasswd", "link.json",
     "folder", "history.csv%00", "HISTORY.csv", ""],
)  # fmt: skip
def test_only_what_is_in_the_report_is_served(service: Service, tmp_path: Path, name: str) -> None:
    (tmp_path / "1" / "report" / "link.json").symlink_to(tmp_path / "1" / "manifest.json")
    (tmp_path / "1" / "report" / "folder").mkdir()

    response = service.client.get(f"{service.client.base_url}/models/1/report/{name}")

    assert response.status_code in {404, 200}
    if response.status_code == 200:  # the client normalized the path itself
        assert response.url.path in {"/models/1", "/models/1/report"}
    else:
        check(response, "not-found", 404)


def test_a_version_is_deleted(service: Service, tmp_path: Path) -> None:
    response = service.client.delete("/models/2", headers=ADMIN)

    assert response.status_code == 204
    assert response.content == b""
    assert Store(tmp_path).versions() == (1, 3, 4)
    check(service.client.delete("/models/2", headers=ADMIN), "version-not-found", 404)


def test_the_champion_and_the_shipped_version_are_never_deleted(service: Service, tmp_path: Path) -> None:
    service.client.post("/models/4/promote", headers=ADMIN).raise_for_status()

    check(service.client.delete("/models/4", headers=ADMIN), "version-in-service", 409)
    check(service.client.delete("/models/1", headers=ADMIN), "shipped-version", 409)
    assert Store(tmp_path).versions() == (1, 2, 3, 4)


@pytest.mark.parametrize("path", ["/models/9", "/models/9/report", "/models/9/report/loss.png"])
def test_a_version_that_is_not_there_is_not_found(service: Service, path: str) -> None:
    check(service.client.get(path), "version-not-found", 404)


@pytest.mark.parametrize("path", ["/models/3", "/models/3/report", "/models/3/report/loss.png"])
def test_a_version_that_cannot_be_read_is_a_conflict(service: Service, path: str) -> None:
    check(service.client.get(path), "broken-version", 409)


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", str(10**18), "9" * 5000])
def test_a_number_that_no_version_can_have_is_refused(service: Service, number: str) -> None:
    check(service.client.get(f"/models/{number}"), "invalid-request", 422)
    check(service.client.post(f"/models/{number}/promote", headers=ADMIN), "invalid-request", 422)
