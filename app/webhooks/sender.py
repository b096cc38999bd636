"""Sends events to the URLs of the settings, in the background."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from time import time
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio
from anyio import CapacityLimiter, to_thread

from app import secret_file
from app.configuration.setting_types import webhook_secrets
from app.retraining.database import ServiceDatabase
from app.settings import Settings, SettingsError
from app.webhooks import posting
from catdog.errors import DatabaseUnavailable
from catdog.system.failpoints import failpoint
from catdog.versions.store import Store
from catdog.webhooks import message

if TYPE_CHECKING:
    from catdog.webhooks.deliveries import Deliveries, Delivery, Outcome

logger = logging.getLogger(__name__)

SECRET_FILE: Final = "webhook.secret"  # noqa: S105  # in the data folder
LOOK_SECONDS: Final = 1.0  # between two looks for events
AT_ONCE: Final = 8  # requests to one URL
LEASE_SECONDS: Final = 20.0  # in addition to the time limit of a request: to store how it ended

Answer = TypeVar("Answer")


class Webhooks:
    """Sends events. A receiver that is slow or down delays only its own.

    Any number of processes may do so with one database; an event is claimed by one at a time. SettingsError if there
    are URLs, and the secret can't be read or created.
    """

    def __init__(self, settings: Settings, records: ServiceDatabase) -> None:
        self._settings = settings
        self._records = records
        self._store = Store(settings.models)
        self._keys = _keys(settings) if settings.webhook_urls else ()
        self._threads = CapacityLimiter(4)

    def prune(self) -> None:
        """Delete what was delivered, or failed, long ago."""
        self._records.deliveries.prune(self._settings.keep_deliveries_days)

    async def run(self) -> None:
        """Send events until cancelled; returns if there is no URL."""
        await _repeat("webhooks can't be set up", self._set_up)
        async with anyio.create_task_group() as tasks:
            if self._settings.webhook_urls:
                tasks.start_soon(_repeat, "promotions can't be recorded for webhooks", self._record_champion)
            for url in dict.fromkeys(self._settings.webhook_urls):
                tasks.start_soon(_repeat, f"webhooks of {urlsplit(url).hostname} fail", partial(self._send_due, url))

    async def ask(self, question: "Callable[[Deliveries], Answer]") -> Answer:
        """Call `question` with the deliveries on a thread, which a shutdown doesn't wait for."""
        return await to_thread.run_sync(
            lambda: question(self._records.deliveries), limiter=self._threads, abandon_on_cancel=True
        )

    @contextmanager
    def within(self) -> Iterator[None]:
        """A transaction that records the change of the champion in the block, if events of it are sent.

        If the database doesn't answer, the change is made all the same, and `run` records it later.
        """
        if not self._settings.webhook_urls:
            yield
            return
        from catdog.webhooks import champions

        with ExitStack() as stack:
            with _tolerated():
                connection = stack.enter_context(self._records.database.writing())
                stack.enter_context(champions.recorded(connection, self._store.champions))
            yield
            failpoint("champion.changed")
            with _tolerated():
                stack.close()

    async def _set_up(self) -> bool:
        urls = self._settings.webhook_urls
        await self.ask(lambda deliveries: deliveries.send_to(urls, self._store.champions))
        return True

    async def _record_champion(self) -> None:
        from catdog.webhooks import champions

        await self.ask(lambda deliveries: champions.catch_up(self._records.database, self._store.champions))

    async def _send_due(self, url: str) -> None:
        """Send all events that are due."""
        seconds = self._settings.webhook_seconds + LEASE_SECONDS
        while claimed := await self.ask(lambda deliveries: deliveries.claim(url, AT_ONCE, seconds)):
            outcomes = await self._sent(claimed)
            await self.ask(partial(_note, outcomes))

    async def _sent(self, claimed: "Sequence[Delivery]") -> "list[Outcome]":
        outcomes: list[Outcome] = []
        async with anyio.create_task_group() as tasks:
            for delivery in claimed:
                tasks.start_soon(self._send, delivery, outcomes)
        return outcomes

    async def _send(self, delivery: "Delivery", outcomes: "list[Outcome]") -> None:
        from catdog.webhooks.deliveries import Outcome

        body = message.body(delivery)
        headers = message.headers(delivery, body, self._keys, time())
        try:
            await posting.post(
                delivery.url, headers, body, self._settings.webhook_seconds, self._settings.webhook_private
            )
        except posting.Undelivered as error:
            outcomes.append(Outcome(delivery, str(error), error.retry_after_seconds))
        else:
            outcomes.append(Outcome(delivery))


async def _repeat(what_fails: str, step: Callable[[], Awaitable[bool | None]]) -> None:
    """Take a step every LOOK_SECONDS until it returns true; errors are logged once, and it goes on."""
    logged = ""
    while True:
        await anyio.sleep(LOOK_SECONDS)
        try:
            if await step():
                return
            logged = ""
        except Exception as error:  # any error: predictions must go on
            if logged != (logged := str(error)):
                logger.warning("%s: %s", what_fails, getattr(error, "reason", error))


def _note(outcomes: "Sequence[Outcome]", deliveries: "Deliveries") -> None:
    deliveries.note(outcomes)


@contextmanager
def _tolerated() -> Iterator[None]:
    try:
        yield
    except (DatabaseUnavailable, OSError) as error:
        logger.warning("a change of the champion is recorded for webhooks later: %s", getattr(error, "reason", error))


def _keys(settings: Settings) -> tuple[bytes, ...]:
    if settings.webhook_secret is not None:
        return tuple(map(message.key_of, webhook_secrets(settings.webhook_secret)))
    file = settings.data_dir / SECRET_FILE
    secret = secret_file.read(file, "the secret of webhooks", "CATDOG_WEBHOOK_SECRET", message.new_secret)
    try:
        return (message.key_of(secret),)
    except ValueError as error:
        raise SettingsError(f"{file}: {error}; delete it to have one created") from error
