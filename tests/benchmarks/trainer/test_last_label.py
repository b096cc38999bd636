from pathlib import Path

import pytest

from benchmarks.harness import versions
from benchmarks.trainer import last_label
from tests.places import SHIPPED_MODELS


@pytest.mark.whole
def test_the_last_label_is_followed_until_a_new_version_answers(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions.shipped(SHIPPED_MODELS, tmp_path / "models")

    (seconds,) = last_label.measure(tmp_path / "models", rounds=1, labels=20)

    assert seconds > 0
    assert "version 3, 20 new labels: " in capsys.readouterr().out
