from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from catdog.errors import BrokenVersion
from catdog.network import weights
from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.store import Store
from catdog.versions.version import Version
from tests.networks import random_arrays


@pytest.fixture
def loadable(store: Store, manifest: Manifest) -> Version:
    """A version with a real, tiny network in it."""
    generator = np.random.default_rng(0)
    arrays = {
        name: generator.standard_normal(shape, np.float32) for name, shape in manifest.architecture.shapes.items()
    }
    with store.draft() as draft:
        weights.write(draft.weights_path, manifest.architecture, arrays)
        file = WeightsFile.of(draft.weights_path, "float32")
        return draft.publish(lambda _: manifest.model_copy(update={"weights": file}))


@pytest.fixture
def sharded(store: Store, manifest: Manifest) -> Version:
    """A real, tiny network whose backbone is in a separate file."""
    architecture = manifest.architecture
    with store.draft() as draft:
        path = draft.path / weights.INDEX
        for name, content in weights.packed(path, architecture, random_arrays(architecture)).items():
            draft.put(name, content)
        file = WeightsFile.of(path, "float32")
        return draft.publish(lambda number: manifest.model_copy(update={"version": number, "weights": file}))


def redescribe(version: Version, /, **fields: object) -> None:
    text = version.manifest.model_copy(update=fields).to_json()
    (version.path / "manifest.json").write_text(text)


def test_a_version_is_loaded_as_it_was_written(store: Store, loadable: Version) -> None:
    arrays = store.open(1).load()

    assert {name: array.shape for name, array in arrays.items()} == loadable.manifest.architecture.shapes
    expected = np.random.default_rng(0).standard_normal((3, 3, 3, 2), np.float32)
    np.testing.assert_array_equal(arrays["block1_conv1/kernel"], expected)


def test_reading_writes_nothing(store: Store, loadable: Version) -> None:
    (store.root / ".lock").unlink()

    def disk() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (store.root, *store.root.rglob("*"))}

    before = disk()
    assert store.versions() == (1,)
    store.open(store.champion()).load()

    assert disk() == before


def test_changed_weights_are_not_loaded(store: Store, loadable: Version) -> None:
    content = bytearray(loadable.weights_path.read_bytes())
    content[-1] ^= 1
    loadable.weights_path.write_bytes(content)

    with pytest.raises(BrokenVersion, match=r"version 1 .*: model\.weights\.h5 is not the file that"):
        store.open(1).load()


def test_missing_weights_are_not_loaded(store: Store, loadable: Version) -> None:
    loadable.weights_path.unlink()

    with pytest.raises(BrokenVersion, match=r"model\.weights\.h5 is missing"):
        store.open(1).load()


def test_a_backbone_in_a_file_of_its_own_is_loaded_with_its_head(store: Store, sharded: Version) -> None:
    expected = random_arrays(sharded.manifest.architecture)

    arrays, head = store.open(1).load(), store.open(1).load(["predictions/bias"])

    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(arrays[name], expected[name]) for name in expected)
    assert np.array_equal(head.pop("predictions/bias"), expected["predictions/bias"])
    assert not head
    assert store.open(1).weights_path.name == "model.weights.json"


@pytest.mark.parametrize("name", weights.FILES)
def test_a_change_in_any_file_of_the_weights_is_noticed(store: Store, sharded: Version, name: str) -> None:
    content = bytearray((sharded.path / name).read_bytes())
    content[-1] ^= 1
    (sharded.path / name).write_bytes(content)

    with pytest.raises(
        BrokenVersion, match=r"model_00000\.weights\.h5 or model_00001\.weights\.h5 is not the file that"
    ):
        store.open(1).load()

    (sharded.path / name).unlink()
    with pytest.raises(BrokenVersion, match=r"model_00001\.weights\.h5 is missing"):
        store.open(1).load()


def test_weights_for_other_preprocessing_are_not_loaded(store: Store, loadable: Version) -> None:
    redescribe(loadable, preprocessing="0" * 64)

    with pytest.raises(BrokenVersion, match="trained with different preprocessing; train it again"):
        store.open(1).load()


def test_weights_of_another_network_are_not_loaded(store: Store, loadable: Version) -> None:
    redescribe(loadable, classes=("cat", "dog", "owl"))

    with pytest.raises(BrokenVersion, match=r"version 1 .*: model\.weights\.h5: .* shape"):
        store.open(1).load()


def test_a_manifest_of_another_version_is_refused(store: Store, loadable: Version) -> None:
    redescribe(loadable, version=2)

    with pytest.raises(BrokenVersion, match=r"manifest\.json is that of version 2"):
        store.open(1)


def test_a_missing_manifest_is_said_to_be_missing(store: Store, loadable: Version) -> None:
    (loadable.path / "manifest.json").unlink()

    with pytest.raises(BrokenVersion, match=r"manifest\.json is missing"):
        store.open(1)


def test_a_broken_manifest_is_refused_with_the_reason(store: Store, loadable: Version) -> None:
    redescribe(loadable, created=loadable.manifest.created + timedelta(days=1), width=2.0)

    with pytest.raises(BrokenVersion, match=r"version 1 .*: manifest\.json: .*width must be in"):
        store.open(1)
