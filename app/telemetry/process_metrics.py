"""Metrics of the service's processes: memory, processor time and open files, as of one process.

Processor time counts on when a process has died: its parent, which supervises them, inherits what it used.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

CPU = "process_cpu_seconds"
OLDEST = "process_start_time_seconds"
TICKS = slice(11, 15)  # in /proc/PID/stat, counted after the name: of the process, and of its children that have ended

_collector = ProcessCollector(registry=None)


def of_this() -> dict[str, float]:
    """The metrics of this process, by name; none without /proc."""
    return {family.name: family.samples[0].value for family in _collector.collect()}


def families(processes: Sequence[Mapping[str, float]], supervisor: int | None = None) -> Iterator[Metric]:
    """The metrics of several processes as of one, with the processor time of those that `supervisor` has survived."""
    described = {family.name: family for family in _collector.collect()}
    for name, family in described.items():
        values = [each[name] for each in processes if name in each]
        if name == CPU:
            value = sum(values) + (0.0 if supervisor is None else _survived_seconds(supervisor))
            yield CounterMetricFamily(name, family.documentation, value=value)
        else:
            yield GaugeMetricFamily(name, family.documentation, value=min(values) if name == OLDEST else sum(values))


def _survived_seconds(pid: int) -> float:
    """Processor seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return sum(map(int, fields[TICKS])) / os.sysconf("SC_CLK_TCK")
