"""Chooses the clients that a canary answers, and counts what both versions did."""

from hashlib import sha256
from typing import Final

from prometheus_client import Counter

from app.serving.loaded_model import LoadedModel
from catdog.versions.canary import Side

HASHES: Final = 2**64


class CanaryTraffic:
    """The canary of this process. Only for the event loop, so it needs no lock."""

    def __init__(self) -> None:
        self.candidate: LoadedModel | None = None
        self.share = 0.0
        self.photos = Counter(
            "catdog_canary_photos",
            "Photos while a canary ran, by version and outcome: answered, or failed by a fault of the service.",
            ("version", "outcome"),
            registry=None,
        )
        self._champion = 0
        self._sides: dict[int, Side] = {}

    def open(self, candidate: LoadedModel, champion: int, share: float) -> None:
        """Let the candidate answer this share of the clients from now on."""
        self.candidate, self._champion, self.share = candidate, champion, share

    def close(self) -> None:
        """Let the champion answer every client."""
        self.candidate, self.share, self._sides = None, 0.0, {}

    def model_for(self, client: str) -> LoadedModel | None:
        """The candidate if it answers this client, always the same ones; else None. A larger share keeps them."""
        if self.candidate is None:
            return None
        digest = sha256(f"{self.candidate.manifest.version} {client}".encode()).digest()
        return self.candidate if int.from_bytes(digest[:8]) < self.share * HASHES else None

    def answered(self, version: int, seconds: float, unknown: bool) -> None:
        """Count an answer."""
        self._count(version, Side(photos=1, unknown=int(unknown), seconds=seconds), "answered")

    def failed(self, version: int) -> None:
        """Count a photo without an answer, by a fault of the service."""
        self._count(version, Side(photos=1, errors=1), "failed")

    def take(self) -> dict[int, Side]:
        """What was counted since the last call, by version."""
        taken, self._sides = self._sides, {}
        return taken

    def _count(self, version: int, one: Side, outcome: str) -> None:
        candidate = self.candidate
        if candidate is None or version not in (candidate.manifest.version, self._champion):
            return
        self.photos.labels(str(version), outcome).inc()
        self._sides[version] = self._sides.get(version, Side()).plus(one)
