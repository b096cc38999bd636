"""Attacks are measured on a real service, and the attacking files stay expensive and within the limits."""

from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event

import pytest

from benchmarks.faults import abuse
from benchmarks.load import hostile_photos
from catdog import decoding_cost, images
from catdog.errors import ImageError
from tests.app.service import publish

SMALL = [
    name
    for name in hostile_photos.FILES
    if ("JPEG" in name and "scans" not in name and "corner" not in name and "no end" not in name)
    or (name.startswith("PNG") and "alpha" not in name and "texts" not in name)
    or name.startswith(("GIF,", "WebP, f", "WebP, e"))
]


@pytest.mark.parametrize("name", SMALL)
def test_a_file_of_many_parts_is_within_the_limits_and_costs_little(name: str) -> None:
    data = hostile_photos.FILES[name]()
    assert 0.9 * hostile_photos.LIMIT_BYTES < len(data) <= hostile_photos.LIMIT_BYTES
    assert decoding_cost.demand(data).seconds < 0.2
    with suppress(ImageError):
        assert images.decode(data).shape == (224, 224, 3)


@pytest.mark.whole
def test_an_attack_is_measured_from_the_client_that_does_no_harm(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    attacked = Event()

    def attack(port: int, number: int, stop: Event) -> None:
        while not stop.is_set():
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                connection.request("POST", "/predict", b"no photo", {"Content-Type": "image/*"})
                assert connection.getresponse().status == 415
                attacked.set()
            except OSError:
                stop.wait(0.05)
            finally:
                connection.close()

    alone, beside, *_, ending = abuse.measure(attack, 1, 1, tmp_path, tmp_path / "models")

    assert attacked.is_set()
    assert "predictions, 0 failed" in alone
    assert "predictions, 0 failed" in beside
    assert ending.endswith("exit status 0")


def test_a_scenario_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["abuse", "flood"])
    with pytest.raises(SystemExit, match="2"):
        abuse.main()
    assert "there is no scenario 'flood', only worst-photos" in capsys.readouterr().err
