"""The client for asynchronous code does what the other one does."""

import inspect
from pathlib import Path

import anyio
import pytest

from catdog.client import AsyncClient, Client, Prediction, Refused, Status, Unavailable
from tests.catdog.client.scripted import Response, scripted


def public(kind: type) -> dict[str, list[str]]:
    """The arguments of each method."""
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name: list(inspect.signature(method).parameters) for name, method in methods if name[0] != "_"}


def test_both_clients_have_the_same_methods() -> None:
    assert public(AsyncClient) == public(Client)


def test_photos_a_folder_a_training_and_versions(other: AsyncClient, client: Client, photos: Path) -> None:
    paths = [photos / "dog" / f"{number}.png" for number in range(12)]

    async def use() -> None:
        async with other:
            answers = [answer async for answer in other.predict_many([*paths, b"no photo"], parallel=2)]
            assert isinstance(answers.pop(), Refused)
            alone = [client.predict(path).probabilities for path in paths]
            assert [answer.probabilities for answer in answers if isinstance(answer, Prediction)] == alone
            assert (await other.upload_folder(photos, "other")).added == 24
            job = await other.retrain("other")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.cancel, job.id)
                states = [state.status async for state in other.follow(job.id)]
            assert states[-1] is Status.CANCELLED
            assert (await other.job(job.id)).status is Status.CANCELLED
            answer = await other.predict(paths[0])
            assert (await other.feedback(answer.prediction_id, "cat")).label == "cat"
            assert (await other.promote(2)).version == 2
            assert (await other.roll_back()).version == 1
            assert (await other.champion()).version == 1

    anyio.run(use)


def test_it_waits_as_long_as_a_busy_service_asks() -> None:
    async def use(url: str) -> None:
        async with AsyncClient(url, retry_seconds=2) as client:
            await client.predict(b"photo")

    busy = Response(503, headers={"Retry-After": "1"})
    with scripted(busy, busy, busy) as server, pytest.raises(Unavailable):
        anyio.run(use, server.url)

    assert len(server.moments) == 2
    assert server.moments[1] - server.moments[0] >= 1


def test_photos_are_classified_in_the_background(other: AsyncClient, photos: Path) -> None:
    async def use() -> None:
        async with other:
            states = [batch async for batch in other.follow_batch((await other.start_batch(photos)).id)]
            rows = [row async for row in other.rows(states[-1].id)]
            assert len(rows) == 24
            alone = await other.predict(photos / rows[0].path)
            assert rows[0].probabilities == pytest.approx(alone.probabilities, abs=1e-6)
            await other.upload_folder(photos, "in-batches")
            waiting = await other.start_batch_of_dataset("in-batches")
            await other.cancel_batch(waiting.id)
            assert (await other.batch()).id == waiting.id

    anyio.run(use)
