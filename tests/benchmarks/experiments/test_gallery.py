"""The benchmark of the gallery, with few pictures and a tiny network."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from benchmarks.experiments import gallery
from tests.app.service import publish, serving
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.whole]

PICTURES = 300


def test_it_measures_the_first_picture_and_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs Chromium, which Debian's package `chromium` brings")
    monkeypatch.setattr(gallery, "SECONDS", 0.2)
    monkeypatch.setattr(gallery, "PART", 200)
    publish(tmp_path / "models")
    gallery.fill(tmp_path / "data", PICTURES)
    given: dict[str, Any] = {"data_dir": tmp_path / "data", "admin_key": SecretStr(gallery.KEY), "worker": "none"}
    with serving(tmp_path / "models", **given) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        listed = service.client.get(f"/datasets/{gallery.NAME}").json()

        rows = list(gallery.measure(str(service.client.base_url).rstrip("/"), executable))

    assert listed["pictures"] == PICTURES
    results = dict(row.strip("| ").split(" | ") for row in rows)
    firsts = [result.split(" s")[0] for what, result in results.items() if what.startswith("first picture")]
    frames = [result.split(" frames")[0] for what, result in results.items() if what.startswith("scrolling")]
    assert len(firsts) == 2 + len(gallery.OPINIONS)
    assert all(float(seconds) > 0 for seconds in firsts)
    assert all(int(rate) > 0 for rate in frames)
    assert len(frames) == len(gallery.STEPS_PIXELS) + 1
