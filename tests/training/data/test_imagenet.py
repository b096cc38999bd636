"""ImageNet's weights, from a local server with substitute weights, and from a file."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catdog.errors import DownloadError, RecipeError, WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture
from catdog.versions.manifest import Manifest
from catdog.versions.store import Store
from tests.app.service import publish
from tests.networks import random_arrays
from tests.observers import Recorder
from tests.photos import draw_set
from tests.training.data.photo_site import Site, publishing_weights
from training.data import imagenet
from training.data.dataset import Dataset, read
from training.fitting import backbones
from training.fitting.config import Config
from training.publishing.pipeline import Request, train

CONTENT = bytes(range(256)) * 40
CUT = 3000  # bytes that come before the connection is cut
PUBLISHED = imagenet.FILE


@pytest.fixture
def site() -> Iterator[Site]:
    with publishing_weights(CONTENT) as site:
        yield site


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> str:
    """The weights' address without a server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imagenet, "URL", f"http://127.0.0.1:9/{PUBLISHED}")
    return imagenet.URL


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "data" / "downloads"


def names(folder: Path) -> set[str]:
    """The names of all files except the lock file."""
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_the_weights_are_downloaded_once_and_kept(
    site: Site, downloads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert imagenet.weights_file(downloads) == downloads / PUBLISHED

    assert (downloads / PUBLISHED).read_bytes() == CONTENT
    assert names(downloads) == {PUBLISHED}
    assert site.statuses == [200]
    assert "0.0 of 0.0 MB" in capsys.readouterr().err


def test_two_trainings_at_once_download_them_once(site: Site, downloads: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(imagenet.weights_file, [downloads] * 2)) == {downloads / PUBLISHED}

    assert site.statuses == [200]


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(site: Site, downloads: Path) -> None:
    site.cut_after_bytes = CUT
    with pytest.raises(DownloadError, match=r"bytes early\. The downloaded part is kept"):
        imagenet.weights_file(downloads)
    assert PUBLISHED not in names(downloads)

    site.cut_after_bytes = None
    imagenet.weights_file(downloads)

    assert (downloads / PUBLISHED).read_bytes() == CONTENT
    assert names(downloads) == {PUBLISHED}
    assert site.ranges == [None, f"bytes={CUT}-"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"<html>log in to this network</html>", "it has 35 bytes instead of 10,240"),
        (CONTENT[:-1], "it has 10,239 bytes"),
        (CONTENT + b"?", "it has 10,241 bytes"),
        (CONTENT[:-1] + b"?", "its MD5 is [0-9a-f]{32} instead of"),
    ],
    ids=["a page", "cut short", "too long", "one byte"],
)
def test_what_comes_in_their_place_is_discarded_and_the_next_training_tries_again(
    site: Site, downloads: Path, content: bytes, fault: str
) -> None:
    site.content = content
    with pytest.raises(DownloadError, match=f"isn't ImageNet's weights and was discarded: {fault}"):
        imagenet.weights_file(downloads)
    assert names(downloads) == set()

    site.content = CONTENT
    assert imagenet.weights_file(downloads).read_bytes() == CONTENT


def test_a_part_of_other_content_is_discarded(site: Site, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    (downloads / f"{PUBLISHED}.part").write_bytes(b"?" * CUT)
    (downloads / f"{PUBLISHED}.part.etag").write_text('"first"')

    with pytest.raises(DownloadError, match="was discarded: its MD5"):
        imagenet.weights_file(downloads)

    assert names(downloads) == set()


@pytest.mark.parametrize("content", [b"", CONTENT[:CUT], b"?" * len(CONTENT)], ids=["empty", "cut", "wrong bytes"])
def test_a_file_of_that_name_with_other_content_is_refused_and_stays(
    site: Site, downloads: Path, content: bytes
) -> None:
    downloads.mkdir(parents=True)
    (downloads / PUBLISHED).write_bytes(content)

    with pytest.raises(DownloadError, match=r"isn't what Keras publishes under this name: .* Remove it"):
        imagenet.weights_file(downloads)

    assert (downloads / PUBLISHED).read_bytes() == content
    assert site.statuses == []


def test_offline_the_error_names_the_file_where_from_where_to_and_what_goes_on_without(
    offline: str, downloads: Path, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError) as caught:
        imagenet.weights_file(downloads)

    said = str(caught.value)
    wanted = (offline, f"downloads/{PUBLISHED}", imagenet.SETTING, "--backbone champion", '"backbone": "champion"')
    assert all(part in said for part in wanted), said
    assert "kept" not in said
    assert str(tmp_path) not in said, "a job's reason is shown to everyone"


def test_a_full_disk_is_no_fault_of_the_connection(site: Site, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    (downloads / f"{PUBLISHED}.part").symlink_to("/dev/full")

    with pytest.raises(
        DownloadError, match=r"don't fit into the data folder: No space left on device\. Free some space"
    ):
        imagenet.weights_file(downloads)


def test_the_file_that_the_setting_names_is_taken_as_it_is(offline: str, downloads: Path, tmp_path: Path) -> None:
    (tmp_path / "float16.h5").write_bytes(b"whatever it holds")

    assert imagenet.weights_file(downloads, tmp_path / "float16.h5") == tmp_path / "float16.h5"
    assert not downloads.exists()


def test_a_setting_that_names_no_file_is_refused_and_nothing_is_downloaded(
    site: Site, downloads: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere.h5", "pipe", "."):
        with pytest.raises(RecipeError, match=r"CATDOG_IMAGENET_WEIGHTS names .* there is no such file"):
            imagenet.weights_file(downloads, tmp_path / name)
    assert site.statuses == []


@pytest.mark.parametrize("content", [b"no weights", b"", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_of_the_setting_that_holds_no_weights_is_described(
    offline: str, downloads: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "theirs.h5").write_bytes(content)

    with pytest.raises(WeightsError, match=r"theirs\.h5"):
        backbones.load(Config(backbone="imagenet"), Store(tmp_path), downloads, tmp_path / "theirs.h5")


def test_a_file_of_the_setting_that_holds_another_network_is_described(
    offline: str, downloads: Path, tmp_path: Path
) -> None:
    slim = Architecture(2, 1 / 32)
    weights.write(tmp_path / "theirs.h5", slim, random_arrays(slim))

    with pytest.raises(WeightsError, match="shape"):
        backbones.load(Config(backbone="imagenet"), Store(tmp_path), downloads, tmp_path / "theirs.h5")


def trained(folder: Path, photos: Path | Dataset, imagenet_weights: Path | None = None) -> tuple[Manifest, Recorder]:
    told = Recorder()
    request = Request(
        Config(backbone="auto"), photos, "test", promote="never", quantize=False, imagenet_weights=imagenet_weights
    )
    return train(request, Store(folder / "models"), folder / "data", told).version.manifest, told


def test_offline_no_other_backbone_stands_in_for_imagenets(offline: str, tmp_path: Path) -> None:
    publish(tmp_path / "models")
    photos = draw_set(tmp_path / "photos", 4, ("cat", "fish"))

    with pytest.raises(DownloadError, match="can't be downloaded"):
        trained(tmp_path, photos)

    assert Store(tmp_path / "models").versions() == (1,)


def test_the_champions_classes_are_trained_offline_on_its_backbone(
    offline: str, tmp_path: Path, split_photos: Path
) -> None:
    publish(tmp_path / "models")

    manifest, told = trained(tmp_path, split_photos)

    assert told.backbones == ["the backbone is the champion's, because the classes are its own (version 1: cat, dog)"]
    assert (manifest.lineage.backbone, manifest.lineage.config["backbone"]) == ("champion", "champion")
    assert manifest.lineage.parent == 1


@pytest.mark.whole
@pytest.mark.data
def test_breeds_are_taught_on_the_real_backbone_of_imagenet(
    offline: str, tmp_path: Path, shared_data: Path, imagenet_weights: Path
) -> None:
    """On few photos, so it doesn't measure accuracy; the features of all breeds cost a minute."""
    publish(tmp_path / "models")
    every = read(shared_data / "cat_breeds")
    few = {"train": every.splits["train"][::60], "validation": every.splits["validation"][::100]}

    manifest, told = trained(tmp_path, Dataset(every.classes, few), imagenet_weights=imagenet_weights)

    assert told.backbones[0].startswith("the backbone is ImageNet's VGG16, because the classes aren't")
    assert (manifest.lineage.backbone, manifest.lineage.config["backbone"]) == ("imagenet", "imagenet")
    assert (manifest.lineage.parent, manifest.width) == (None, 1.0)
    theirs, ours = weights.read_backbone(imagenet_weights, Architecture(2)), Store(tmp_path / "models").open(2).load()
    assert all((ours[name] == array).all() for name, array in theirs.items())
