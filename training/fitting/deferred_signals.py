"""Delays signals to the end of a batch, because TensorFlow crashes if one interrupts it."""

import signal
from collections.abc import Mapping
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Self

from keras.callbacks import Callback

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the signals that stop or cancel a training


class DeferredSignals(Callback):  # type: ignore[misc]  # Keras ships no types
    """Between enter and exit, exceptions from the handlers of these signals are raised at the end of a batch.

    The handlers themselves run at once. An exception from a second signal, such as another Ctrl-C, isn't delayed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[int, Any] = {}
        self._raised: BaseException | None = None

    def __enter__(self) -> Self:
        if current_thread() is main_thread():  # signals are handled only there
            self._handlers = {number: handler for number in HELD if callable(handler := signal.getsignal(number))}
        for number in self._handlers:
            signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._raise()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        try:
            self._handlers[number](number, frame)
        except BaseException as raised:  # KeyboardInterrupt, or a worker's Interrupted
            if self._raised is not None:
                raise
            self._raised = raised

    def _raise(self) -> None:
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
