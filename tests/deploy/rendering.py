"""What Helm makes of the chart, with the combinations of values that the tests render."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.places import ROOT

CHART = ROOT / "deploy" / "chart"
OLDEST = "1.27"  # kubeVersion in Chart.yaml, and in the documentation
NEWEST = "1.35"

SHARED = ("database.existingSecret=catdog-database", "storage.accessMode=ReadWriteMany")
COMBINATIONS = {
    "the defaults": (),
    "several replicas": ("api.replicas=3", *SHARED),
    "as many as needed": ("autoscaling.enabled=true", *SHARED),
    "by waiting photos": ("autoscaling.enabled=true", "autoscaling.keda.enabled=true", *SHARED),
    "everything": (
        "api.replicas=2",
        "api.processes=auto",
        "database.url=postgresql://catdog:secret@postgres/catdog",
        "storage.accessMode=ReadWriteMany",
        "storage.models.storageClass=nfs",
        "storage.data.existingClaim=pictures",
        "ingress.enabled=true",
        "ingress.className=nginx",
        "ingress.tlsSecret=tls",
        "api.allowedHosts={pets.example.com}",
        "serviceMonitor.enabled=true",
        "keys.existingSecret=keys",
        "keys.predictKey=true",
        "trainer.imagenetWeights=/weights.h5",
        "webhooks.urls={https://example.com/a,https://example.com/b}",
        "webhooks.existingSecret=webhooks",
        "settings.CATDOG_UNKNOWN_KEEP=0.9",
        "settings.CATDOG_MAX_UPLOAD_BYTES=20000000",
        "image.pullSecrets[0].name=registry",
        "networkPolicy.from[0].podSelector.matchLabels.app=web",
    ),
    "no trainer, no network policy": ("trainer.enabled=false", "networkPolicy.enabled=false"),
}
WITHOUT_VOLUMES = (
    "database.existingSecret=catdog-database",
    "storage.bucket.models=s3://pets/models",
    "storage.bucket.pictures=s3://pets/pictures",
    "storage.bucket.existingSecret=bucket",
    "storage.bucket.dataOfEachReplica=true",
)
COMBINATIONS |= {
    "buckets for versions and pictures": (
        "storage.bucket.models=gs://pets/models",
        "storage.bucket.pictures=gs://pets/pictures",
        "storage.bucket.serviceAccountName=catdog-reader",
    ),
    "a bucket for pictures": ("storage.bucket.pictures=az://pets/pictures", "storage.bucket.existingSecret=bucket"),
    "replicas without shared volumes": ("api.replicas=3", *WITHOUT_VOLUMES),
}
OF_OTHERS = {"ServiceMonitor", "ScaledObject"}  # kinds that operators define; Kubernetes has no schema of them

Manifest = dict[str, Any]


def run(helm: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *words], capture_output=True, encoding="utf-8", check=False)


def rendered(helm: Path, values: tuple[str, ...], version: str = NEWEST) -> list[Manifest]:
    asked = [word for value in values for word in ("--set", value)]
    done = run(helm, "template", "catdog", CHART, "--kube-version", version, *asked)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def containers(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in of_kind(manifests, "Deployment"):
        pod = manifest["spec"]["template"]["spec"]
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def environment(container: Manifest) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container.get("env", ())}


def api(manifests: list[Manifest]) -> Manifest:
    return next(container for container in containers(manifests) if container["name"] == "api")
