"""Both clients compare two versions on the same photos."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from catdog.client import AsyncClient, Client, Comparison, Conflict, NotFound, Status, Unauthorized
from tests.app.api.test_comparisons import PHOTOS, with_two_versions
from tests.app.service import ADMIN, ADMIN_KEY, Service


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Service]:
    """A service with two versions and a data set, whose comparisons no worker runs."""
    with with_two_versions(tmp_path, "none") as service:
        yield service


def url(service: Service) -> str:
    return str(service.client.base_url)


def test_a_comparison_is_followed_to_its_result(tmp_path: Path) -> None:
    with with_two_versions(tmp_path, "process") as service, Client(url(service), ADMIN_KEY) as client:
        *_, last = client.follow_comparison(client.compare(2, 1, "pets").id)

        assert last.status is Status.SUCCEEDED, last.reason
        assert last == client.comparison()
        assert (last.versions, last.dataset, last.split, last.progress) == ((2, 1), "pets", "test", 1.0)
        assert last.result is not None
        assert last.result.photos == 2 * PHOTOS
        assert last.result.different == len(last.different) > 0
        said = service.client.get(f"/comparisons/{last.id}", headers=ADMIN).json()
        assert last.result.model_dump(mode="json") == said["result"]
        with pytest.raises(Conflict):
            client.cancel_comparison(last.id)
        with Client(url(service)) as stranger:  # without a key
            assert stranger.comparison().different == []


def test_a_comparison_is_cancelled_while_it_is_followed(idle: Service) -> None:
    with Client(url(idle), ADMIN_KEY) as client:
        followed = client.follow_comparison(client.compare(1, 2, "pets", split="validation").id)

        first = next(followed)
        assert (first.status, first.split) == (Status.QUEUED, "validation")
        client.cancel_comparison(first.id)
        *_, last = followed

        assert (last.status, last.result) == (Status.CANCELLED, None)


def test_what_cannot_be_compared_is_refused(idle: Service) -> None:
    with Client(url(idle), ADMIN_KEY) as client, Client(url(idle)) as stranger:
        with pytest.raises(NotFound, match="9"):
            client.compare(1, 9, "pets")
        with pytest.raises(NotFound):
            client.comparison("none")
        with pytest.raises(Unauthorized):
            stranger.compare(1, 2, "pets")


def test_asynchronous_code_follows_one_too(idle: Service) -> None:
    async def use() -> list[Comparison]:
        async with AsyncClient(url(idle), ADMIN_KEY) as client:
            asked = await client.compare(2, 1, "pets")
            seen = []
            async for found in client.follow_comparison():
                seen.append(found)
                if not found.status.is_final:
                    assert (await client.cancel_comparison(asked.id)).status is Status.CANCELLED
            assert await client.comparison(asked.id) == seen[-1]
            return seen

    assert [found.status for found in anyio.run(use)] == [Status.QUEUED, Status.CANCELLED]
