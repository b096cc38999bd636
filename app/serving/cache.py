"""Caches the network's output for recent photos; off by default."""

from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple

from catdog.engines.engine import Output
from catdog.versions.manifest import Manifest


class Key(NamedTuple):
    """The same bytes, before the same version."""

    photo: str  # sha256
    version: int


class AnswerCache:
    """The outputs of the `limit` photos that were asked for last. For the event loop, but for `key`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._outputs: OrderedDict[Key, Output] = OrderedDict()

    @staticmethod
    def key(manifest: Manifest, photo: bytes) -> Key:
        """Safe on any thread; 10 MB take some milliseconds."""
        return Key(sha256(photo).hexdigest(), manifest.version)

    def get(self, key: Key) -> Output | None:
        if key in self._outputs:
            self._outputs.move_to_end(key)
        return self._outputs.get(key)

    def put(self, key: Key, output: Output) -> None:
        self._outputs[key] = Output(*(array.copy() for array in output))  # a view would keep the whole batch
        self._outputs.move_to_end(key)
        while len(self._outputs) > self.limit:
            self._outputs.popitem(last=False)
