"""A client of the service for Python programs: `Client`, and `AsyncClient` for asyncio.

It needs httpx, the extra `client`.
"""

from catdog.client.answers import Batch, Comparison, Job, Picture, Prediction, Row, Uploaded, Version
from catdog.client.asynchronous import AsyncClient
from catdog.client.blocking import Client
from catdog.client.errors import (
    ClientError,
    Conflict,
    NotFound,
    Problem,
    ProblemError,
    Refused,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from catdog.jobs.job import Status

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "ClientError",
    "Comparison",
    "Conflict",
    "Job",
    "NotFound",
    "Picture",
    "Prediction",
    "Problem",
    "ProblemError",
    "Refused",
    "Row",
    "Status",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Uploaded",
    "Version",
]
