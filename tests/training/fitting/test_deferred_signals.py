"""Signals during a training are handled at the end of a batch."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from training.fitting.deferred_signals import HELD, DeferredSignals


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Python's default, as in a command: Ctrl-C raises KeyboardInterrupt."""
    before = {number: signal.getsignal(number) for number in HELD}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_a_ctrl_c_waits_for_the_end_of_the_batch() -> None:
    steps = []

    def train() -> None:
        with DeferredSignals() as signals:
            send()
            steps.append("in the batch")
            signals.on_train_batch_end(0)
            steps.append("in the next one")

    with pytest.raises(KeyboardInterrupt):
        train()
    assert steps == ["in the batch"]


@pytest.mark.parametrize("reason", [Reason.STOPPED, Reason.CANCELLED])
def test_a_job_is_interrupted_after_the_batch_and_its_worker_knows_at_once(reason: Reason) -> None:
    interruptions = Interruptions()
    interruptions.install()
    known = []

    def train() -> None:
        with DeferredSignals() as signals:
            if reason is Reason.STOPPED:
                send(signal.SIGTERM)
            else:
                interruptions.ask(reason)
            known.append(interruptions.reason)
            signals.on_test_batch_end(0)
            known.append(None)

    with pytest.raises(Interrupted, match=reason.value):
        train()
    assert known == [reason]


def test_one_that_came_after_the_last_batch_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), DeferredSignals():
        send()


def test_a_second_one_ends_the_batch_itself() -> None:
    def train() -> None:
        with DeferredSignals():
            send()
            send()
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        train()


def test_afterwards_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in HELD]

    with DeferredSignals():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler

    assert [signal.getsignal(number) for number in HELD] == before


def test_a_handler_that_raises_nothing_is_called_in_the_batch() -> None:
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))

    with DeferredSignals():
        send()
        assert heard == [1]


def test_what_the_system_does_with_a_signal_is_left_to_it() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    with DeferredSignals():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_training_on_another_thread_leaves_signals_alone() -> None:
    def train() -> None:
        with DeferredSignals() as signals:
            signals.on_train_batch_end(0)

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(train).result()
