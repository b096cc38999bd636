"""Answers requests without a query on a short way: the order of a route's dependencies is found once.

For each request FastAPI walks through the tree of dependencies, looks for the parameters of each in path, query,
headers and cookies, and validates the answer, which is a pydantic model already. What that costs:
docs/decisions/serving/0025-what-a-request-costs.md
"""

from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send


class Step(NamedTuple):
    """One dependency, and the names of its parameters that are the request or the value of an earlier step."""

    call: Any
    defaults: Mapping[str, Any]  # of its parameters in the query
    requests: tuple[str, ...]
    values: Mapping[str, int]  # indices of steps

    async def value(self, request: Request, earlier: list[Any]) -> Any:
        given = {**self.defaults, **dict.fromkeys(self.requests, request)}
        for name, place in self.values.items():
            given[name] = earlier[place]
        return await self.call(**given)


class DirectRoute(APIRoute):
    """A route whose endpoint returns a pydantic model, and that has parameters in the query only, each with a default.

    It is declared, documented and, with a query, answered like every other one.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._steps: list[Step] = []
        _add(self.dependant, self._steps)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] or scope["method"] not in (self.methods or ()):
            return await super().handle(scope, receive, send)
        request = Request(scope, receive, send)
        values: list[Any] = []
        for step in self._steps:
            values.append(await step.value(request, values))
        answer: BaseModel = values[-1]
        content = answer.__pydantic_serializer__.to_json(
            answer, by_alias=self.response_model_by_alias, exclude_unset=self.response_model_exclude_unset
        )
        return await Response(content, media_type="application/json")(scope, receive, send)


def _add(dependant: Dependant, steps: list[Step]) -> int:
    """Add the steps of all that it depends on, in FastAPI's order, and its own; returns the place of that.

    Raises TypeError if it has other parameters than those of a DirectRoute.
    """
    values = {}
    for each in dependant.dependencies:
        place = _add(each, steps)
        if each.name is not None:
            values[each.name] = place
    _check(dependant)
    found = next((place for place, step in enumerate(steps) if step.call is dependant.call), None)
    if found is not None:  # once for all that depend on it
        return found
    defaults = {field.name: field.get_default() for field in dependant.query_params}
    requests = [name for name in (dependant.request_param_name, dependant.http_connection_param_name) if name]
    steps.append(Step(dependant.call, defaults, tuple(requests), values))
    return len(steps) - 1


def _check(dependant: Dependant) -> None:
    others = (
        *dependant.path_params,
        *dependant.header_params,
        *dependant.cookie_params,
        *dependant.body_params,
        *filter(None, (dependant.response_param_name, dependant.background_tasks_param_name)),
        *(field.name for field in dependant.query_params if field.field_info.is_required()),
    )
    call = dependant.call
    is_coroutine = iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)
    if others or not is_coroutine or dependant.security_scopes_param_name:
        raise TypeError(f"{call} can't be a dependency of a DirectRoute")
