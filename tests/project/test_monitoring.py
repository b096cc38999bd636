"""The metrics that deploy/ uses exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app import metrics
from catdog.versions.measurements import Histogram
from tests.app.api.test_queue import ask, ready
from tests.app.scraping import PROCESS, scrape
from tests.app.service import ADMIN, publish
from tests.places import ROOT

DEPLOY = ROOT / "deploy"
GRAFANA = DEPLOY / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "catdog.json").read_text("utf-8"))


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text("utf-8"))


def strings(value: object) -> Iterator[tuple[str, str]]:
    """Every string in a document, with its key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                yield key, inner
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def expressions() -> list[str]:
    """The expressions of the dashboard and of the rules."""
    found = [text for key, text in strings(DASHBOARD) if key in ("expr", "definition")]
    return found + [rule["expr"] for group in read("alerts.yml")["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The metrics' names after some traffic, also of a canary, during a training."""
    folder = tmp_path_factory.mktemp("models")
    usual = {"probability": Histogram(edges=(0.75,), photos=(500, 500))}
    publish(folder, histograms=usual)
    publish(folder, seed=8, histograms=usual)
    with pytest.MonkeyPatch.context() as patch, ready(folder) as service:
        patch.setattr(metrics, "FRESH_SECONDS", 0.0)
        ask(service, 1)
        service.client.post("/models/2/canary", json={"share": 0.999}, headers=ADMIN).raise_for_status()
        ask(service, 2)
        service.client.post("/models/2/promote", headers=ADMIN).raise_for_status()
        jobs = service.app.state.database.jobs
        jobs.submit({"dataset": "pets"})
        said = {"phase": "fitting", "progress": 0.4, "seconds_left": 8.5, "epoch": 2, "epochs": 5}
        jobs.claim("a worker").report("progress", {}, progress=said | {"metrics": {"photos_per_second": 9.0}})
        return scrape(service).names


def test_every_metric_that_is_drawn_or_ruled_on_exists(names: set[str]) -> None:
    used = {name for text in expressions() for name in re.findall(r"\b(?:catdog|process)_\w+", text)}

    assert len(used) > 25
    assert used - names - PROCESS == set()


def test_every_number_of_the_service_is_drawn(names: set[str]) -> None:
    """Except the ones that repeat a drawn number."""
    drawn = " ".join(expressions())
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("catdog_")}

    assert {name for name in families if name not in drawn} == {"catdog_champion_info"}


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)


def test_every_alert_says_what_is_wrong() -> None:
    rules = [rule for group in read("alerts.yml")["groups"] for rule in group["rules"]]

    assert all(rule["annotations"]["summary"] for rule in rules)
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5


def test_what_the_containers_are_given_is_there() -> None:
    services = read("docker-compose.monitoring.yml")["services"]
    mounts = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    given = [DEPLOY.parent / mount for mount in mounts if mount.startswith(".")]

    assert len(given) == 4
    assert [path for path in given if not path.exists()] == []
    assert {tuple(service["profiles"]) for service in services.values()} == {("monitoring",)}


def test_prometheus_asks_the_service_with_the_key_that_it_is_given() -> None:
    prometheus = read("docker-compose.monitoring.yml")["services"]["prometheus"]
    (job,) = read("prometheus.yml")["scrape_configs"]

    assert job["authorization"]["credentials_file"] == prometheus["configs"][0]["target"]
    assert job["static_configs"] == [{"targets": ["api:8000"]}]
    assert "/etc/prometheus/alerts.yml" in " ".join(prometheus["volumes"])
    assert read("prometheus.yml")["rule_files"] == ["/etc/prometheus/alerts.yml"]
