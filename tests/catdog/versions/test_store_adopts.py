"""A store without versions takes over the shipped one."""

from pathlib import Path

from catdog.versions.store import Store
from tests.app.service import publish


def test_an_empty_store_gets_a_whole_copy_of_the_shipped_version(tmp_path: Path) -> None:
    publish(tmp_path / "shipped")

    assert Store(tmp_path / "models").adopt(tmp_path / "shipped" / "1")

    store = Store(tmp_path / "models")
    store.open(store.champion()).verify()
    assert [path.name for path in sorted(store.root.iterdir())] == [".lock", "1"]


def test_a_store_with_a_version_stays_as_it_is(tmp_path: Path) -> None:
    publish(tmp_path / "shipped")
    publish(tmp_path / "models", seed=8)
    before = (tmp_path / "models" / "1" / "manifest.json").read_bytes()

    assert not Store(tmp_path / "models").adopt(tmp_path / "shipped" / "1")

    assert (tmp_path / "models" / "1" / "manifest.json").read_bytes() == before
