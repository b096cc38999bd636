"""Defers routes that predictions do not need: they are built by the first request for one of them.

FastAPI analyses every handler when its route is built, and pydantic compiles every schema. For about a hundred routes
that takes a tenth of the time to the first answer, and 4% of the memory:
docs/decisions/serving/0010-one-photo-alone-or-several-that-share.md
"""

from collections.abc import Sequence
from importlib import import_module
from threading import Lock

from anyio import to_thread
from starlette.routing import BaseRoute, Match, Router
from starlette.types import Receive, Scope, Send


class DeferredRoutes(BaseRoute):
    """Stands for the routes of `modules`, each of which has a `router`. It must be the last of the early routes."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._importing = Lock()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every request that no earlier route answers."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replace this by the routes, and route the request once more."""
        router: Router = scope["app"].router
        routes = await to_thread.run_sync(self._built)
        if self in router.routes:  # no other request has replaced it meanwhile
            place = router.routes.index(self)
            router.routes[place : place + 1] = routes
        await router(scope, receive, send)

    def _built(self) -> list[BaseRoute]:
        with self._importing:
            return built(self._modules)


def built(modules: Sequence[str]) -> list[BaseRoute]:
    """The routes of modules; `include_router` would build each a second time."""
    return [route for module in modules for route in import_module(module).router.routes]
