"""What is checked before a Ray cluster is used, on a machine without Ray."""

from pathlib import Path

import pytest

from catdog import cluster
from catdog.cluster import ClusterError


def test_without_ray_it_is_said_how_to_install_it() -> None:
    with pytest.raises(ClusterError, match=r"this needs ray, which isn't installed; .*pip install '.\[ray\]'"):
        cluster.check_usable()


@pytest.mark.parametrize("mode", ["", "disabled"])
def test_an_open_cluster_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str) -> None:
    (tmp_path / "ray.py").touch()  # as if it were installed
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(cluster.AUTHENTICATION, mode)
    with pytest.raises(ClusterError, match="set RAY_AUTH_MODE=token here and for every `ray start`"):
        cluster.check_usable()

    monkeypatch.setenv(cluster.AUTHENTICATION, "token")
    cluster.check_usable()


def test_an_error_in_a_task_is_named_by_its_cause() -> None:
    trace = "ray::MapBatches()\n  File ...\nFileNotFoundError: no such file\n"
    ours = f"{ClusterError.__module__}.ClusterError: the node a computes other features"

    assert cluster._reason("the actor died\nout of memory\n") == "out of memory"
    assert (
        cluster._reason(f"{trace}{cluster.CAUSED} of:\n\nray.UserCodeException: retry")
        == "FileNotFoundError: no such file"
    )
    assert cluster._reason(f"the actor died\n{ours}") == "the node a computes other features"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1:99999999"])
def test_an_address_without_a_cluster_is_named_at_once(address: str) -> None:
    with pytest.raises(ClusterError, match=f"there is no Ray cluster at {address} .*; start one, or correct it"):
        cluster.check_there(address)
