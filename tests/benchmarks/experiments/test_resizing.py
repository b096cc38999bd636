import numpy as np
import pytest

from benchmarks.experiments import resizing
from benchmarks.harness import photos
from catdog import images
from catdog.image_formats import resize

SENT = [photos.generated(seed) for seed in range(2)]


def test_the_exact_filter_is_what_both_ways_round() -> None:
    found = resizing.exact(SENT[0])
    assert np.abs(found - images.decode(SENT[0])).max() < 2


@pytest.mark.skipif(not resize.HAS_SIMD, reason="cykooz-resizer isn't installed")
def test_both_ways_are_measured_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "ROUNDS", 2)
    monkeypatch.setattr(resize, "HAS_SIMD", True)
    header, pillow, simd, wall, used = resizing.speed(SENT)
    assert "medians of 2 rounds" in header
    assert (pillow.split()[0], simd.split()[0]) == ("Pillow", "SIMD")
    assert "times as fast" in wall
    assert "times as fast" in used
    assert [line.split(",")[0].strip() for line in resizing.pixels(SENT)][1:3] == ["Pillow", "SIMD"]
