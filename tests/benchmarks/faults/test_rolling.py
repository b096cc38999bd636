import shutil
from pathlib import Path

import pytest

from benchmarks.faults import rolling


@pytest.mark.whole
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs HAProxy, which Debian's package `haproxy` brings")
def test_services_behind_haproxy_are_replaced_one_by_one_without_a_failed_request(tmp_path: Path) -> None:
    _, requests, failures = rolling.measure(tmp_path, replacements=4, rate=10)

    assert requests > 10
    assert failures == 0
