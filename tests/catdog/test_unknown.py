import numpy as np
import pytest

from catdog import unknown
from catdog.manifest import Unknown

FEATURES = np.array([[3, 4], [0, 0], [6, 8]], np.float32)
KNOWN = Unknown(usual_length=5.0, threshold=0.5, photos=100, kept=0.95)


def test_a_photo_is_as_familiar_as_its_features_are_long() -> None:
    assert unknown.familiarity(FEATURES, 5.0).tolist() == [1, 0, 2]


@pytest.mark.parametrize(("length", "is_unknown"), [(2.4, True), (2.5, False), (2.6, False)])
def test_a_photo_is_unknown_below_the_threshold(length: float, is_unknown: bool) -> None:
    familiarity, found = unknown.judged(np.array([[length, 0]], np.float32), KNOWN)

    assert familiarity == pytest.approx(length / 5)
    assert found is is_unknown


def test_a_version_without_a_threshold_calls_nothing_unknown() -> None:
    assert unknown.judged(FEATURES[:1], None) == (None, False)
