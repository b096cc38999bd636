from collections.abc import Callable

import pytest

from catdog.errors import BrokenVersion, ShippedVersion, VersionInService, VersionNotFound
from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.store import Store, Version

pytestmark = pytest.mark.parametrize("root", ["folder", "bucket"], indirect=True)

Publish = Callable[[Store], Version]


def names(store: Store) -> set[str]:
    """What the store's folder or cache has but its own files."""
    return {path.name for path in store.root.iterdir()} - {".last", ".lock", ".state.lock", "state.json"}


def test_a_draft_becomes_the_next_version(store: Store, publish: Publish) -> None:
    first, second = publish(store), publish(store)

    assert store.versions() == (1, 2)
    assert store.open(2) == second
    assert second.manifest.version == 2
    assert second.path == store.root / "2"
    files = {path.name for path in first.path.rglob("*")}
    assert files == {"model.weights.h5", "manifest.json", "report", "history.csv"}
    assert names(store) == {"1", "2"}


def test_a_draft_is_no_version_and_leaves_nothing(filled: Store) -> None:
    with filled.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        assert filled.versions() == (1, 2, 3, 4)

    assert names(filled) == {"1", "2", "3", "4"}


def test_a_draft_that_fails_to_describe_itself_is_not_published(filled: Store) -> None:
    def fail(number: int) -> Manifest:
        raise KeyboardInterrupt

    with filled.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        with pytest.raises(KeyboardInterrupt):
            draft.publish(fail)

    assert names(filled) == {"1", "2", "3", "4"}


def test_a_manifest_of_other_weights_is_not_published(filled: Store, manifest: Manifest) -> None:
    with filled.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        with pytest.raises(BrokenVersion, match=r"version 5 .*not the file that manifest\.json describes"):
            draft.publish(lambda number: manifest.model_copy(update={"version": number}))

    assert filled.versions() == (1, 2, 3, 4)


def test_a_manifest_with_another_number_is_not_published(filled: Store, manifest: Manifest) -> None:
    with filled.draft() as draft:
        draft.weights_path.write_bytes(b"weights")
        file = WeightsFile.of(draft.weights_path, "float32")
        with pytest.raises(BrokenVersion, match=r"version 5 .*is that of version 1"):
            draft.publish(lambda _: manifest.model_copy(update={"weights": file}))

    assert filled.versions() == (1, 2, 3, 4)


def test_the_number_of_a_deleted_version_is_not_given_again(filled: Store, publish: Publish) -> None:
    filled.delete(4)

    assert publish(filled).number == 5


def test_a_version_can_be_deleted(filled: Store) -> None:
    filled.delete(2)

    assert names(filled) == {"1", "3", "4"}
    with pytest.raises(VersionNotFound):
        filled.delete(2)


def test_the_champion_is_never_deleted(filled: Store) -> None:
    filled.promote(2)

    with pytest.raises(VersionInService, match="version 2 is in service; promote another"):
        filled.delete(2)

    assert filled.versions() == (1, 2, 3, 4)


def test_the_shipped_version_is_never_deleted(filled: Store) -> None:
    filled.promote(2)

    with pytest.raises(ShippedVersion, match="version 1 was shipped with catdog and can't be deleted"):
        filled.delete(1)


@pytest.mark.parametrize(("keep", "kept"), [(1, (1, 2, 4)), (2, (1, 2, 3, 4)), (0, (1, 2)), (9, (1, 2, 3, 4))])
def test_pruning_keeps_the_newest_the_champion_and_the_shipped(filled: Store, keep: int, kept: tuple[int, ...]) -> None:
    filled.promote(2)

    deleted = filled.prune(keep)

    assert filled.versions() == kept
    assert set(deleted) == {1, 2, 3, 4}.difference(kept)
