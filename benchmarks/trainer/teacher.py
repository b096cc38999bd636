"""Uploads pictures and starts trainings over HTTP, like a user."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from benchmarks.harness.processes import PATIENCE_SECONDS, BenchmarkError

KEY = "the key of the benchmarks"
POLL_SECONDS = 0.1
JOB_SECONDS = 1200


class Teacher:
    """Uploads, retrains, promotes; a refused request ends the benchmark."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": content_type}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status >= 300:
            raise BenchmarkError(f"{method} {path} was answered with {response.status}: {content.decode()}")
        return json.loads(content or b"null")

    def upload(self, dataset: str, photos: Mapping[str, Iterable[Path]]) -> None:
        """Upload photos by class, as one ZIP."""
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            for label, paths in photos.items():
                for path in paths:
                    archive.write(path, f"{label}/{path.name}")
        self.ask("POST", f"/datasets/{dataset}/archive", zipped.getvalue(), "application/zip")

    def begin(self, **request: Any) -> str:
        job: str = self.ask("POST", "/retrain", json.dumps(request).encode())["id"]
        return job

    def wait(self, job: str) -> Mapping[str, Any]:
        """Wait until the job has ended; BenchmarkError if it published no version."""
        began = perf_counter()
        while True:
            found: Mapping[str, Any] = self.ask("GET", f"/retrain/{job}")
            if found["status"] == "succeeded":
                return found
            if found["status"] in ("failed", "cancelled") or perf_counter() - began > JOB_SECONDS:
                raise BenchmarkError(f"a job is {found['status']}: {found['reason']}")
            sleep(POLL_SECONDS)

    def retrain(self, **request: Any) -> tuple[float, Mapping[str, Any]]:
        """Seconds from the request to the end of the job, and the job."""
        began = perf_counter()
        job = self.wait(self.begin(**request))
        return perf_counter() - began, job
