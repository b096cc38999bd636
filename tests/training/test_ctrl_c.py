"""When a Ctrl-C is raised while a network is trained."""

import os
import signal
from collections.abc import Iterator

import pytest

from training.ctrl_c import CtrlC


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_waits_for_the_end_of_the_batch() -> None:
    steps = []

    def train() -> None:
        with CtrlC() as ctrl_c:
            press()
            steps.append("in the batch")
            ctrl_c.on_train_batch_end(0)
            steps.append("in the next one")

    with pytest.raises(KeyboardInterrupt):
        train()
    assert steps == ["in the batch"]


def test_one_that_came_after_the_last_batch_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), CtrlC():
        press()


def test_a_second_one_ends_the_batch_itself() -> None:
    def train() -> None:
        with CtrlC():
            press()
            press()
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        train()


def test_afterwards_everything_is_as_before() -> None:
    with CtrlC():
        pass

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_has_a_handler_of_their_own_keeps_it() -> None:
    presses = []
    signal.signal(signal.SIGINT, lambda *_: presses.append(1))

    with CtrlC() as ctrl_c:
        press()
        ctrl_c.on_test_batch_end(0)

    assert presses == [1]
