"""A DirectRoute answers as FastAPI's own routes do, with and without a query."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from app.web.direct_route import DirectRoute
from tests.app.service import Service

bearer = HTTPBearer(auto_error=False)


class Answer(BaseModel):
    ran: list[str]
    number: float = 0.1
    unset: str | None = None


async def key(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> str:
    request.state.ran = ["key"]
    return given.credentials if given else ""


async def shared(request: Request) -> int:
    request.state.ran.append("shared")
    return 7


async def wanted(request: Request, place: Annotated[int, Depends(shared)], version: int = 1) -> int:
    request.state.ran.append(f"wanted {place} {version}")
    return place + version


async def refused(request: Request, given: Annotated[str, Depends(key)]) -> None:
    request.state.ran.append("refused")
    if given == "wrong":
        raise HTTPException(403, "a wrong key")


def app_of(route_class: type[APIRoute]) -> FastAPI:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(key), Depends(refused)], route_class=route_class)

    @router.post("/asked", response_model_exclude_unset=True)
    async def asked(
        request: Request,
        place: Annotated[int, Depends(shared)],
        both: Annotated[int, Depends(wanted)],
        word: Annotated[str, Query(max_length=3)] = "abc",
    ) -> Answer:
        return Answer(ran=[*request.state.ran, f"{place} {both} {word}"])

    app.router.routes += router.routes
    return app


DIRECT, USUAL = app_of(DirectRoute), app_of(APIRoute)


def ask(app: FastAPI, method: str, address: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, address, headers=headers)

    return asyncio.run(asked())


@pytest.mark.parametrize("query", ["", "?version=3", "?word=toolong", "?version=x"])
@pytest.mark.parametrize("given", ["", "right", "wrong"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_it_runs_the_same_dependencies_and_gives_the_same_answer(query: str, given: str, method: str) -> None:
    headers = {"Authorization": f"Bearer {given}"} if given else {}
    answers = [ask(each, method, f"/asked{query}", headers) for each in (DIRECT, USUAL)]

    direct, usual = [(each.status_code, each.content, dict(each.headers)) for each in answers]
    assert direct == usual


def test_it_is_documented_like_every_other_route() -> None:
    assert ask(DIRECT, "GET", "/openapi.json").json() == ask(USUAL, "GET", "/openapi.json").json()


async def with_a_header(agent: Annotated[str, Header()] = "") -> None: ...


async def with_a_response(response: Response) -> None: ...


async def with_a_required_parameter(word: str) -> None: ...


def on_a_thread() -> None: ...


@pytest.mark.parametrize("dependency", [with_a_header, with_a_response, with_a_required_parameter, on_a_thread])
def test_a_dependency_that_needs_more_than_the_request_is_refused_when_the_route_is_built(dependency: object) -> None:
    async def endpoint() -> Answer:
        return Answer(ran=[])

    with pytest.raises(TypeError, match="can't be a dependency of a DirectRoute"):
        DirectRoute("/", endpoint, dependencies=[Depends(dependency)])  # type: ignore[arg-type]


def test_a_prediction_is_the_same_with_and_without_a_query(service: Service, jpeg: bytes) -> None:
    answers = [service.client.post(f"/predict{query}", content=jpeg) for query in ("", "?explain=false")]

    first, second = [
        (each.content.partition(b',"prediction_id"')[0], {**each.headers, "x-request-id": "", "date": ""})
        for each in answers
    ]
    assert first == second
