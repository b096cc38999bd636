"""Files that aren't weights, weights of other networks, and damaged ones, wherever a training reads them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from catdog.versions.store import Store
from tests.training.fitting import wrong_weights
from tests.training.fitting.wrong_weights import WRONG
from training.__main__ import main
from training.data import imagenet


@pytest.fixture
def refused(
    tmp_path: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Train with these options, and return the single line of the error."""
    monkeypatch.chdir(tmp_path)

    def train(*options: str, setting: Path | None = None) -> str:
        monkeypatch.setenv("CATDOG_IMAGENET_WEIGHTS", str(setting or ""))
        place = ("--models", str(tmp_path / "models"), "--data-dir", str(tmp_path / "data"))
        status = main([*place, "train", "--data", str(split_photos), *options])
        out, error = capsys.readouterr()
        assert status == 1, out
        assert Store(tmp_path / "models").versions() == ()
        (line,) = [line for line in error.splitlines() if not line.startswith("the backbone is ")]
        return line

    return train


@pytest.mark.parametrize("write", WRONG, ids=lambda write: write.__name__)
def test_a_file_that_holds_no_vgg16_is_named_for_what_it_is_with_what_to_do(
    tmp_path: Path, refused: Callable[..., str], write: Callable[[Path], None]
) -> None:
    write(tmp_path / "theirs.h5")

    by_option = refused("--backbone", str(tmp_path / "theirs.h5"))
    by_setting = refused(setting=tmp_path / "theirs.h5")

    assert by_option == by_setting
    assert by_option.startswith("catdog: theirs.h5: ")
    what, to_do = WRONG[write]
    assert what in by_option
    assert to_do in by_option
    assert str(tmp_path) not in by_option


@pytest.mark.parametrize("write", [wrong_weights.web_page, wrong_weights.cut_short, wrong_weights.narrow])
def test_a_file_of_the_published_name_with_other_bytes_is_never_read(
    tmp_path: Path, refused: Callable[..., str], write: Callable[[Path], None]
) -> None:
    downloads = tmp_path / "data" / "downloads"
    downloads.mkdir(parents=True)
    write(tmp_path / imagenet.FILE)
    shutil.copy(tmp_path / imagenet.FILE, downloads)

    given = {refused("--backbone", str(tmp_path / imagenet.FILE)), refused(setting=tmp_path / imagenet.FILE)}
    kept = refused()

    size = (tmp_path / imagenet.FILE).stat().st_size
    fault = f"isn't what Keras publishes under this name: it has {size:,} bytes instead of {imagenet.BYTES:,}"
    (line,) = given
    assert line.startswith(f"catdog: {imagenet.FILE}: {fault}; download or copy it again")
    assert f"{fault}. Remove it to download it again" in kept


def test_what_has_come_of_a_download_is_no_file_to_start_from(tmp_path: Path, refused: Callable[..., str]) -> None:
    downloads = tmp_path / "data" / "downloads"
    downloads.mkdir(parents=True)
    wrong_weights.cut_short(downloads / f"{imagenet.FILE}.part")

    assert "ImageNet's weights can't be downloaded from" in refused()
