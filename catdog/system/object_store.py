"""Objects of a bucket at Amazon, Google or Microsoft, read and replaced under conditions.

The library is obstore, of the extra `storage`: docs/decisions/serving/0023. It finds keys and endpoints in the
variables of each provider, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from catdog.errors import StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

CONNECT: Final = timedelta(seconds=2)
ANSWER: Final = timedelta(seconds=3)  # a store that sends nothing for as long doesn't answer
FILE: Final = timedelta(seconds=60)  # for a file, whole
RETRIES: Final = 3
RETRY: Final = timedelta(seconds=1.5)  # after which none is begun
SMALL_BYTES: Final = 2**20  # of what is stored within ANSWER

# What a provider needs to recognize the content of an object: its ETag, and at Google its generation.
Tag = Mapping[str, str]


class Unchanged(Exception):
    """The object still has this tag."""


class Conflict(Exception):
    """The object exists already, or its tag is another one."""


class Objects:
    """The objects below one URL, by name. Every use may raise StoreUnavailable."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _store(self) -> "ObjectStore":
        return self._opened({"read_timeout": ANSWER})

    @cached_property
    def _patient(self) -> "ObjectStore":
        """For requests that are answered once the store has all of a file."""
        return self._opened({})

    def _opened(self, options: "ClientConfig") -> "ObjectStore":
        from obstore.store import from_url  # not earlier: only those who use it need it

        # `allow_http` lets the variables name an endpoint without TLS, as local servers have; theirs decides.
        return from_url(
            self.url,
            client_options={"allow_http": True, "connect_timeout": CONNECT, "timeout": FILE, **options},
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRY},
        )

    def get(self, name: str, unless: Tag | None = None) -> tuple[bytes, Tag]:
        """The content and its tag; Unchanged if that is `unless`, FileNotFoundError if there is no such object."""
        import obstore

        with self._reported():
            try:
                if unless and "e_tag" in unless:
                    found = obstore.get(self._store, name, options={"if_none_match": unless["e_tag"]})
                else:
                    found = obstore.get(self._store, name)
                return bytes(found.bytes()), _tag(found.meta)
            except obstore.exceptions.NotModifiedError as error:
                raise Unchanged from error

    def put(self, name: str, content: bytes, instead_of: Tag | None = None) -> Tag:
        """Replace the content that has this tag, with None create the object; else Conflict."""
        import obstore

        mode: Any = "create" if instead_of is None else dict(instead_of)
        with self._reported():
            try:
                store = self._store if len(content) <= SMALL_BYTES else self._patient
                return _tag(obstore.put(store, name, content, mode=mode, use_multipart=False))
            except (
                obstore.exceptions.AlreadyExistsError,
                obstore.exceptions.PreconditionError,
                FileNotFoundError,
            ) as error:
                raise Conflict from error

    def copy(self, name: str, target: str) -> None:
        """Copy an object within the bucket, without its content passing through here; FileNotFoundError."""
        import obstore

        with self._reported():
            obstore.copy(self._patient, name, target)

    def names(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """The name of every object whose name begins so, and when it was written."""
        import obstore

        with self._reported():
            for found in obstore.list(self._store, prefix or None):
                yield from ((each["path"], each["last_modified"]) for each in found)

    def delete(self, names: Iterable[str]) -> None:
        """Delete the objects that exist."""
        import obstore

        with self._reported():
            for name in names:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, name)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            raise StoreUnavailable(f"{self.url}: {str(error).partition(chr(10))[0]}") from error


def _tag(found: Mapping[str, object]) -> Tag:
    return {name: str(found[name]) for name in ("e_tag", "version") if found.get(name) is not None}
