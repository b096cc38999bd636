"""The HTTP/1.1 protocol of uvicorn, with limits on time and size.

The head of a request must arrive in time, a body may not arrive in tiny pieces, an answer must be read, and what a
refused client still sends is discarded unparsed. During a shutdown, every answer closes its connection.
"""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import h11
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from app.shutdown import Shutdown
from app.web import problem_details, problem_kinds
from app.web.connections import Connections
from app.web.problem_details import Problem

HEAD_BYTES = 64 * 1024  # of one request: its line and headers
MOST_HEADERS = 128
FREE_PIECES = 256  # pieces of a body that may be of any size
LEAST_PIECE_BYTES = 128  # average of the others: parsing one takes as long as some hundred bytes in larger ones
LINGER_BYTES = 64 * 2**20  # discarded after a refusal
LINGER_SECONDS = 5.0  # as nginx's lingering_timeout
READ_SECONDS = 30.0  # within which a client must read some of its answer
LAST_REQUEST_SECONDS = 0.5  # for a request that is in transit when the service ends


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, with what each connection needs."""

    def __init__(
        self, app: ASGIApp, connections: Connections, shutdown: Shutdown, head_seconds: float, **options: Any
    ) -> None:
        super().__init__(app, http=HttpProtocol, **options)
        self.connections = connections
        self.shutdown = shutdown
        self.head_seconds = head_seconds


class BoundedParser(h11.Connection):
    """Refuses requests that take long to parse for their size."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self.refusal = 400, ""  # status and reason, if a request is refused
        self.body_bytes = 0  # of the request
        self._pieces = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            event = super().next_event()
            self._check(event)
        except h11.RemoteProtocolError as error:
            self.refusal = error.error_status_hint, str(error).partition(": bytearray")[0]
            raise
        return event

    def _check(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        if isinstance(event, h11.Request):
            self.body_bytes = self._pieces = 0
            if len(event.headers) > MOST_HEADERS:
                raise h11.RemoteProtocolError(f"a request may have at most {MOST_HEADERS} headers; send fewer", 431)
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self.body_bytes += len(event.data)
            if self.body_bytes < (self._pieces - FREE_PIECES) * LEAST_PIECE_BYTES:
                raise h11.RemoteProtocolError(
                    f"the body arrives in pieces of less than {LEAST_PIECE_BYTES} bytes; send larger ones"
                )


class HttpProtocol(H11Protocol):
    """One connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(config, ServerConfig):
            raise TypeError(config)
        self._of_server = config
        self._all = config.connections
        self.conn: BoundedParser = BoundedParser()
        self.app = self._answer
        self._head_timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None
        self._dropped: asyncio.Event | None = None  # set when the rest of a refused body has been discarded
        self._left_bytes = 0  # still to be discarded
        self._is_ending = False  # the server no longer waits for refused bodies

    @property
    def host(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _awaits_head(self) -> bool:
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.opened(self)
        self._note_state()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._all.closed(self)
        for timer in (self._head_timer, self._reading_timer):
            if timer is not None:
                timer.cancel()
        if self._dropped is not None:
            self._dropped.set()
        self.app = self.config.loaded_app  # else a reference cycle: `app` is a method of this object

    def data_received(self, data: bytes) -> None:
        if self._dropped is None:
            super().data_received(data)
            self._note_state()
            return
        self._left_bytes -= len(data)
        if self._left_bytes <= 0 or data.endswith(b"0\r\n\r\n"):  # the end of a chunked body
            self._dropped.set()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._awaits_head:
            self._all.waits(self, is_known=True)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._all.waits(self)
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._all.works(self)
        if self._reading_timer is not None:
            self._reading_timer.cancel()

    def give_way(self) -> None:
        self.transport.abort()

    def shutdown(self) -> None:
        """Close the connection, once a request that is in transit has been answered."""
        self._is_ending = True
        if self._dropped is not None:
            self._dropped.set()
        if self._awaits_head and self._of_server.shutdown.is_leaving:
            self.loop.call_later(LAST_REQUEST_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        status, reason = self.conn.refusal
        self._refuse(status, f"the request is refused: {reason or msg}")

    def _close_if_idle(self) -> None:
        if self._awaits_head and not self.transport.is_closing():
            super().shutdown()

    def _note_state(self) -> None:
        """Update whether the connection waits for the head of a request, which must then arrive in time."""
        if self._awaits_head and not self.transport.is_closing():
            self._all.waits(self, is_known=self.cycle is not None)
            if self._head_timer is None:
                is_leaving = self._of_server.shutdown.is_leaving
                seconds = LAST_REQUEST_SECONDS if is_leaving else self._of_server.head_seconds
                self._head_timer = self.loop.call_later(seconds, self._head_is_late)
            return
        if self._dropped is None:
            self._all.works(self)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(408, f"the head of a request must arrive within {self._of_server.head_seconds:g} seconds")
        else:
            self.transport.close()

    def _await_reader(self) -> None:
        """Abort the connection if the client reads nothing for READ_SECONDS."""
        before = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < before:
                self._await_reader()
            else:
                self.transport.abort()

        self._reading_timer = self.loop.call_later(READ_SECONDS, look)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer a request that can't reach a route, and close the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        if self.cycle is not None and not self.cycle.response_complete:  # the app must not answer it too
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        kind = problem_kinds.of_status(status)
        problem = Problem(type=kind.type, title=kind.title, status=status, detail=reason, instance=uuid4().urn)
        content = problem.model_dump_json().encode()
        headers = [
            ("Content-Type", problem_details.MEDIA_TYPE),
            ("Content-Length", str(len(content))),
            ("Connection", "close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=content),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self._begin_to_drop(LINGER_BYTES)
        task = self.loop.create_task(self._drop_and_close())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _drop_and_close(self) -> None:
        await self._drop()
        self.transport.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app. If it refuses a body that is still being sent, end its answer only after the body.

        Closing a connection with unread bytes resets it, and many clients then never see the answer.
        """
        scope["state"]["peer"] = self.host  # X-Forwarded-For may change the client's address in the scope
        is_expecting = is_held = False
        length = dict(scope["headers"]).get(b"content-length", b"")

        async def watch(message: Message) -> None:
            nonlocal is_expecting, is_held
            is_sending = self.conn.their_state is h11.SEND_BODY
            if message["type"] == "http.response.start":
                is_expecting = self.conn.they_are_waiting_for_100_continue
                if is_sending or self._of_server.shutdown.is_leaving:
                    MutableHeaders(scope=message)["Connection"] = "close"
            elif not message.get("more_body") and is_sending and not (is_expecting or self._is_ending):
                message, is_held = {**message, "more_body": True}, True
                self._begin_to_drop(int(length) - self.conn.body_bytes if length.isdigit() else LINGER_BYTES)
            await send(message)

        await self.config.loaded_app(scope, receive, watch)
        if is_held:
            await self._drop()
            await send({"type": "http.response.body", "body": b""})

    def _begin_to_drop(self, count: int) -> None:
        """Discard the next `count` bytes unparsed."""
        self._dropped = asyncio.Event()
        self._left_bytes = min(count, LINGER_BYTES)
        self._all.waits(self)
        self.flow.resume_reading()

    async def _drop(self) -> None:
        """Wait until these bytes have arrived, at most LINGER_SECONDS."""
        if self._dropped is not None and not self.transport.is_closing():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._dropped.wait(), LINGER_SECONDS)
