"""Lets the processes of one service ask each other over Unix sockets, and choose a leader.

Each process has a socket in the folder that they share, named by its number. A question is one line of JSON, and so is
the answer. A process that has died doesn't answer and is left out.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from catdog.system import durable

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0  # limit for an answer that costs nothing
LINE_BYTES = 4 * 2**20  # the times of a thousand photos take 60 KB
POLL_SECONDS = 0.5  # between two attempts to lead
LEADER = "leader"
LOADED = "loaded.json"

Answer = Callable[..., Awaitable[Any]]


class Siblings:
    """The other processes of the service; none without a `folder`, which is then a service of one process.

    `answers` has a function for each question that others may ask; its result must be JSON.
    """

    def __init__(self, folder: Path | None = None, number: int = 0) -> None:
        self.folder = folder
        self.number = number
        self.leads = folder is None
        self.answers: dict[str, Answer] = {}

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer the others inside the block."""
        if self.folder is None:
            yield
            return
        path = self.folder / f"{self.number}.sock"
        path.unlink(missing_ok=True)  # of a process with this number that was killed
        server = await asyncio.start_unix_server(self._answer, path, limit=LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def ask(self, question: str, seconds: float = ANSWER_SECONDS, **details: object) -> list[Any]:
        """The answers of the others to a question with these details; slower ones are left out."""
        if self.folder is None:
            return []
        sent = json.dumps([question, details]).encode() + b"\n"
        others = [path for path in self.folder.glob("*.sock") if path.stem != str(self.number)]
        lines = await asyncio.gather(*(_asked(path, sent, seconds) for path in others))
        return [json.loads(line) for line in lines if line]

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """Wait until no other process leads; this one leads until the end of the block, or until it dies."""
        with ExitStack() as held:
            while self.folder is not None:
                try:
                    held.enter_context(durable.locked(self.folder / LEADER, wait=False))
                    break
                except BlockingIOError:
                    await anyio.sleep(POLL_SECONDS)
            self.leads = True
            yield

    def loaded(self) -> frozenset[int] | None:
        """The versions that every process must load in addition to the champion; None without other processes."""
        if self.folder is None:
            return None
        try:
            return frozenset(json.loads((self.folder / LOADED).read_text("ascii")))
        except FileNotFoundError:
            return frozenset()

    def change_loaded(self, version: int, is_loaded: bool) -> None:
        """Add or remove a version that every process must load."""
        if self.folder is None:
            return
        with durable.locked(self.folder / durable.LOCK):
            others = (self.loaded() or frozenset()) - {version}
            durable.replace_text(self.folder / LOADED, json.dumps(sorted(others | {version} if is_loaded else others)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question, details = json.loads(await reader.readline())
            writer.write(json.dumps(await self.answers[question](**details)).encode() + b"\n")
            await writer.drain()
        except Exception:  # any error: the process that asked goes on without this answer
            logger.exception("a question of another process of this service can't be answered")
        finally:
            writer.close()


async def _asked(path: Path, sent: bytes, seconds: float) -> bytes:
    """The line that a process answers; empty if it doesn't."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES)
            try:
                writer.write(sent)
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):  # it was killed, hangs, or says too much
        return b""
