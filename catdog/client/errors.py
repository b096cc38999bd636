"""The errors of the client.

ClientError              a request that has no answer to use
├── Unreachable            the service doesn't answer
└── ProblemError           it answers with a problem
    ├── Unauthorized         the key is missing or wrong (401)
    ├── NotFound             no such version, data set, job or prediction (404)
    ├── Conflict             not possible in the present state (409)
    ├── Refused              the photo or request can't be used, or a limit stays reached (other 4xx)
    └── Unavailable          not ready or overloaded, also after the last retry (503)
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

import httpx

from catdog.errors import CatdogError


class ClientError(CatdogError):
    """A request that has no answer to use."""


class Unreachable(ClientError):
    """The service doesn't answer. `url` is its address."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"{url} doesn't answer ({reason}); is it the address of a running catdog?")


@dataclass(frozen=True)
class Problem:
    """Problem details (RFC 9457). `type` is stable, to be compared; `detail` says what to do.

    `instance` is the request's id in the log of the service.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        """The problem in a response; one from a proxy, which has no details, is described by its status."""
        try:
            said = response.json()
            return cls(said["type"], said["title"], said["status"], said["detail"], said.get("instance", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = response.reason_phrase or "an unknown status"
            return cls("about:blank", reason, response.status_code, f"{response.status_code} {reason}")


class ProblemError(ClientError):
    """The service answers with a problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


class Unauthorized(ProblemError):
    """The key is missing or wrong."""


class NotFound(ProblemError):
    """There is no such version, data set, job or prediction."""


class Conflict(ProblemError):
    """It isn't possible in the present state, such as a rollback without an earlier champion."""


class Refused(ProblemError):
    """The photo or the request can't be used, or a limit is reached, also after the last retry (429)."""


class Unavailable(ProblemError):
    """The service isn't ready or is overloaded."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
}


def error_of(problem: Problem) -> ProblemError:
    """The exception for a problem."""
    if (kind := _BY_STATUS.get(problem.status)) is not None:
        return kind(problem)
    return Refused(problem) if 400 <= problem.status < 500 else ProblemError(problem)
