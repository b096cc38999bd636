"""The HTTP server around the app."""

from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.retraining import Retraining
from app.settings import Settings

HEAD_BYTES = 64 * 1024  # of one request: its line and headers


class Server(uvicorn.Server):
    """Tells those who stream for long that it is about to end, so that they don't hold it up."""

    def __init__(self, config: uvicorn.Config, retraining: Retraining) -> None:
        super().__init__(config)
        self._retraining = retraining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._retraining.is_leaving = True
        super().handle_exit(sig, frame)


def server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """One worker: another would hold the network a second time, and the first already uses every core."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        http="h11",  # httptools takes a request head of any size into memory, and loses the body of an `Upgrade`
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are of what single clients did
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    return Server(config, app.state.retraining)
