"""The metrics page, parsed as Prometheus parses it."""

from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.app.service import Service

PROC = Path("/proc/self/stat")  # Prometheus's library reports process metrics only if it exists
PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}


class Page:
    """The answer of `GET /metrics`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """Names of the metrics that have a value, as in queries."""
        return {sample.name for sample in self.samples}

    @property
    def documented(self) -> set[str]:
        """Names of all metrics, as in HELP lines."""
        return {line.split()[2] for line in self.text.splitlines() if line.startswith("# HELP ")}

    def find(self, name: str, **labels: str) -> float | None:
        """The value with exactly these labels; None if there is none."""
        found = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        assert len(found) < 2
        return found[0] if found else None

    def all(self, name: str, label: str) -> dict[str, float]:
        """Every value of a name, by one of its labels."""
        return {sample.labels[label]: sample.value for sample in self.samples if sample.name == name}


def scrape(service: Service) -> Page:
    return Page(service.client.get("/metrics").raise_for_status().text)
