"""Ctrl-C between two batches: TensorFlow crashes where it is raised while an array is being converted."""

import signal
from collections.abc import Mapping
from types import FrameType
from typing import Self

from keras.callbacks import Callback


class CtrlC(Callback):  # type: ignore[misc]  # Keras ships no types
    """From enter to exit, a Ctrl-C is raised when a batch has ended; a second one at once.

    Whoever has put another handler there keeps it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked = False
        self._is_ours = False

    def __enter__(self) -> Self:
        self._is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._is_ours:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if kind is None:
            self._raise_if_asked()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_asked()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_asked()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def _raise_if_asked(self) -> None:
        if self._asked:
            raise KeyboardInterrupt
