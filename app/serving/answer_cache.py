"""Caches the outputs of the network for photos that are sent again."""

from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple

from catdog.engines.engine import Output
from catdog.versions.manifest import Manifest


class Key(NamedTuple):
    """A photo's content and the version that answered it."""

    photo: str  # sha256
    version: int


class AnswerCache:
    """The outputs of the last `limit` photos. For the event loop, except `key`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._outputs: OrderedDict[Key, Output] = OrderedDict()

    @staticmethod
    def key(manifest: Manifest, photo: bytes) -> Key:
        """Thread-safe; 10 MB take some milliseconds."""
        return Key(sha256(photo).hexdigest(), manifest.version)

    def forget(self, photo: str) -> int:
        """Remove the outputs for a photo, by its sha256; returns their number."""
        keys = [key for key in self._outputs if key.photo == photo]
        for key in keys:
            del self._outputs[key]
        return len(keys)

    def get(self, key: Key) -> Output | None:
        if key in self._outputs:
            self._outputs.move_to_end(key)
        return self._outputs.get(key)

    def put(self, key: Key, output: Output) -> None:
        self._outputs[key] = Output(*(array.copy() for array in output))  # a view would keep the whole batch
        self._outputs.move_to_end(key)
        while len(self._outputs) > self.limit:
            self._outputs.popitem(last=False)
