"""Remembers compactly what one version says of very many pictures."""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

KEY_DIGITS = 16  # of a sha256: 64 bits, which tell millions of pictures apart

Keys = NDArray[np.uint64]


class Said(NamedTuple):
    """The answers to n pictures: places of the classes, their probabilities, and which are unknown, (n,) each."""

    classes: NDArray[np.uint16]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]

    @classmethod
    def nothing(cls) -> Self:
        return cls(np.empty(0, np.uint16), np.empty(0, np.float32), np.empty(0, np.bool_))

    def at(self, places: NDArray[np.integer]) -> "Said":
        return Said(*(column[places] for column in self))

    def then(self, others: "Said") -> "Said":
        """These answers, then the others."""
        return Said(
            np.concatenate([self.classes, others.classes]),
            np.concatenate([self.probabilities, others.probabilities]),
            np.concatenate([self.unknown, others.unknown]),
        )


class Judged:
    """Answers by picture: 15 bytes for each. Thread-safe."""

    def __init__(self) -> None:
        # The keys, sorted, and their answers: replaced together, so that `of` never reads one without the other.
        self._known: tuple[Keys, Said] = np.empty(0, np.uint64), Said.nothing()
        self._changing = Lock()

    def of(self, contents: Sequence[str]) -> tuple[NDArray[np.intp], Said]:
        """The places of those of these contents that were judged, in order, and the answers to them."""
        keys, (known, said) = keys_of(contents), self._known
        if not len(known):
            return np.empty(0, np.intp), said
        found = np.searchsorted(known, keys).clip(max=len(known) - 1)
        places = np.flatnonzero(known[found] == keys)
        return places, said.at(found[places])

    def add(self, contents: Sequence[str], said: Said) -> None:
        """Remember the answers to these contents."""
        with self._changing:
            known, answers = self._known
            keys, first = np.unique(np.concatenate([keys_of(contents), known]), return_index=True)
            self._known = keys, said.then(answers).at(first)


def keys_of(contents: Sequence[str]) -> Keys:
    """The first 8 bytes of each sha256, (n,)."""
    digits = "".join(content[:KEY_DIGITS] for content in contents)
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)
