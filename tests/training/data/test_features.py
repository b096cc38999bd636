import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catdog.cluster import ClusterError
from catdog.errors import DatasetError
from catdog.features import Entry, FeatureCache
from catdog.network.architecture import Architecture, Head, Network
from tests.networks import random_arrays
from training.data import cluster_features, dataset, features
from training.data.cluster_features import FEW, Computing
from training.data.dataset import Photo
from training.data.features import FeatureExtractor
from training.data.pixels import decode

TINY = Architecture(2, width=1 / 32)


def unexpected(photo: Photo, error: Exception) -> None:
    raise error


@pytest.fixture
def photos(split_photos: Path) -> tuple[Photo, ...]:
    return dataset.read(split_photos).splits["validation"]


def test_a_few_new_photos_need_no_cluster_but_many_do(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    network = Network(TINY, random_arrays(TINY))
    computing = Computing("127.0.0.1:9")

    few = FeatureExtractor(tmp_path / "few", unexpected, compute=computing).outputs(photos, network)
    here = FeatureExtractor(tmp_path / "here", unexpected).outputs(photos, network)
    np.testing.assert_array_equal(few.output.features, here.output.features)

    many = [replace(photo, sha256=f"{photo.sha256}{number}") for photo in photos for number in range(FEW)]
    with pytest.raises(ClusterError, match="this needs ray"):
        FeatureExtractor(tmp_path / "many", unexpected, compute=computing).outputs(many, network)


class InMemory:
    """A photo that is no file on this machine, like one in a bucket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        return self._content


def test_photos_in_a_bucket_are_not_read_by_a_cluster(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_features, "FEW", 2)
    network = Network(TINY, random_arrays(TINY))
    stored = [replace(photo, path=InMemory(photo.path.read_bytes())) for photo in photos]

    found = FeatureExtractor(tmp_path, unexpected, compute=Computing("127.0.0.1:9")).outputs(stored, network)

    assert len(found.photos) == len(photos)


@pytest.mark.parametrize("head", ["pooled", "classic"])
def test_a_known_photo_is_not_computed_again(
    head: Head, photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Architecture(2, width=1 / 32, head=head)
    arrays = random_arrays(network)
    _, first, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(network, arrays))
    features.forget_engines()
    monkeypatch.setattr(features, "OpenVINOEngine", None)  # any further use fails

    _, again, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(network, arrays))

    assert np.array_equal(again.logits, first.logits)
    assert np.array_equal(again.features, first.features)


def test_only_new_photos_are_computed(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    arrays = random_arrays(TINY)
    FeatureExtractor(tmp_path, unexpected).outputs(photos[:5], Network(TINY, arrays))

    kept, mixed, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(TINY, arrays))
    _, alone, _ = FeatureExtractor(tmp_path / "empty", unexpected).outputs(photos, Network(TINY, arrays))

    assert kept == photos
    assert np.array_equal(mixed.features, alone.features)


def test_another_backbone_has_other_features_and_another_head_the_same(
    photos: tuple[Photo, ...], tmp_path: Path
) -> None:
    arrays = random_arrays(TINY)
    _, first, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(TINY, arrays))

    other_head = arrays | {"predictions/bias": np.array([5, 5], np.float32)}
    _, shared, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(TINY, other_head))
    _, other, _ = FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(TINY, random_arrays(TINY, seed=1)))

    assert np.array_equal(shared.features, first.features)
    assert not np.array_equal(shared.logits, first.logits)
    assert not np.array_equal(other.features, first.features)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_thumbnails_are_kept_with_the_features(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = random_arrays(TINY)
    first = FeatureExtractor(tmp_path, unexpected).look(photos, Network(TINY, arrays))
    _, pixels = decode(photos, unexpected)
    grey = pixels.reshape(-1, 16, 14, 16, 14, 3).mean(axis=(2, 4)) @ (0.299, 0.587, 0.114)
    monkeypatch.setattr(features, "decode", None)  # any further use fails

    again = FeatureExtractor(tmp_path, unexpected).look(photos, Network(TINY, arrays))

    assert again.thumbnails.dtype == np.uint8
    assert np.abs(again.thumbnails - grey).max() <= 1
    assert np.array_equal(again.thumbnails, first.thumbnails)


def test_a_cache_in_another_format_is_not_read(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = random_arrays(TINY)
    FeatureExtractor(tmp_path, unexpected).outputs(photos[:1], Network(TINY, arrays))
    monkeypatch.setattr("catdog.features.FORMAT", "1")

    FeatureExtractor(tmp_path, unexpected).outputs(photos[:1], Network(TINY, arrays))

    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_progress_counts_the_new_photos(
    photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "BATCH", 5)
    told: list[tuple[int, int]] = []

    FeatureExtractor(tmp_path, unexpected, lambda done, new: told.append((done, new))).outputs(
        photos, Network(TINY, random_arrays(TINY))
    )

    assert told == [(5, 12), (10, 12), (12, 12)]
    assert capsys.readouterr().err == ""


def test_a_cache_gives_what_it_is_asked_for_and_no_more(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    entries = {str(n): Entry(np.full(3, n, np.float32), np.full((16, 16), n, np.uint8)) for n in range(5)}
    cache.add(entries)

    found = cache.read(["1", "3", "unknown"])

    assert found.keys() == {"1", "3"}
    assert np.array_equal(found["3"].row, entries["3"].row)
    assert np.array_equal(found["3"].thumbnail, entries["3"].thumbnail)


def test_processes_may_add_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(add_alone, [tmp_path / "cache.sqlite"] * 2, "ab"))

    names = [f"{process}{number}" for process in "ab" for number in range(50)]
    assert len(FeatureCache(tmp_path / "cache.sqlite").read(names)) == 100


def add_alone(file: Path, process: str) -> None:
    """50 entries, each in its own transaction."""
    cache = FeatureCache(file)
    for number in range(50):
        cache.add({f"{process}{number}": Entry(np.ones(3, np.float32), np.ones((16, 16), np.uint8))})


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    reported = []

    with pytest.raises(DatasetError, match="none of the 1 photos"):
        FeatureExtractor(tmp_path, lambda photo, error: reported.append(photo.name)).outputs(
            [Photo(tmp_path / "text.jpg", 0, "0" * 64, "text.jpg")], Network(TINY, random_arrays(TINY))
        )
    assert reported == ["text.jpg"]


def test_a_damaged_cache_is_an_error_that_names_the_file(photos: tuple[Photo, ...], tmp_path: Path) -> None:
    arrays = random_arrays(TINY)
    FeatureExtractor(tmp_path, unexpected).outputs(photos[:1], Network(TINY, arrays))
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"no database" * 100)

    with pytest.raises(OSError, match=file.name):
        FeatureExtractor(tmp_path, unexpected).outputs(photos, Network(TINY, arrays))
