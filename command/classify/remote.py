"""Photos in object stores: `s3://`, `gs://` and `az://`, by fsspec (the extra `cloud`).

Credentials and addresses come from where each store's own tools find them, such as AWS_ACCESS_KEY_ID, AWS_PROFILE and
AWS_ENDPOINT_URL.
"""

import logging
from collections.abc import Iterator
from functools import partial
from glob import has_magic
from importlib import import_module
from typing import TYPE_CHECKING, Final

from app.classification.photos import LIMIT_BYTES, Photo, check_size
from catdog.errors import CatdogError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LIBRARIES: Final = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
SEPARATOR: Final = "://"


class StoreUnreadable(CatdogError):
    """An object store that can't be read; the text says why."""


def is_url(path: str) -> bool:
    return SEPARATOR in path


def check(url: str) -> None:
    """Raise StoreUnreadable for another kind of store, ImportError without its library."""
    scheme = url.partition(SEPARATOR)[0]
    if scheme not in LIBRARIES:
        known = ", ".join(f"{each}{SEPARATOR}" for each in LIBRARIES)
        raise StoreUnreadable(f"{url} is in no store that can be read; use {known} or a path")
    # gcsfs logs each failed request with a trace; the row of the photo says what failed.
    logging.getLogger(LIBRARIES[scheme]).setLevel(logging.CRITICAL)
    import_module(LIBRARIES[scheme])


def photo(url: str) -> Photo:
    """One object; what is wrong with its URL or its store is said when it is read."""
    return Photo(url, partial(read, url), is_remote=True)


def listed(url: str) -> Iterator[str]:
    """The URLs of the objects below a folder or bucket, or that match a pattern; else the URL itself.

    One folder is listed at a time, in the order of names. StoreUnreadable.
    """
    prefix = url.partition(SEPARATOR)[0] + SEPARATOR
    try:
        store, path = _opened(url)
        if has_magic(path):
            yield from (prefix + name for name in sorted(store.glob(path)))
        elif store.isdir(path):
            for folder, _, names in store.walk(path, on_error="raise"):
                yield from (f"{prefix}{folder}/{name}" for name in sorted(names) if name)
        else:
            yield url
    except CatdogError:
        raise
    except Exception as error:  # each store has errors of its own
        raise StoreUnreadable(f"{url} can't be listed ({_reason(error)})") from error


def read(url: str) -> bytes:
    """The bytes of an object; StoreUnreadable, FileLeftOut."""
    try:
        check(url)
        store, path = _opened(url)
        if "/" not in path.strip("/"):
            raise StoreUnreadable("there is no such bucket, or nothing is in it")
        data: bytes = store.cat_file(path, start=0, end=LIMIT_BYTES + 1)
    except CatdogError:
        raise
    except Exception as error:  # each store has errors of its own
        raise StoreUnreadable(f"it can't be read from its store ({_reason(error)})") from error
    check_size(len(data))
    return data


def _opened(url: str) -> "tuple[AbstractFileSystem, str]":
    from fsspec.core import url_to_fs

    store, path = url_to_fs(url, use_listings_cache=False)
    return store, path


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):  # gcsfs says only at which address it isn't
        return "there is no such object"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
