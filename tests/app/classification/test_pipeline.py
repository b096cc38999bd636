"""Results come in order, from few photos at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from threading import Event

from app.classification.pipeline import LATE, in_order
from tests.waiting import PATIENCE_SECONDS


def test_results_come_in_the_order_of_what_was_given() -> None:
    second = Event()

    def make(number: int) -> int:
        if number == 0:
            assert second.wait(PATIENCE_SECONDS), "the second is made while the first is"
        second.set()
        return number

    with ThreadPoolExecutor(2) as threads:
        assert list(in_order(threads, make, range(20), ahead=2)) == list(range(20))


def test_little_is_begun_ahead_of_what_is_used() -> None:
    numbers = count()

    with ThreadPoolExecutor(2) as threads:
        made = in_order(threads, str, numbers, ahead=5)
        assert list(islice(made, 3)) == ["0", "1", "2"]

    assert next(numbers) <= 3 + 5


def test_threads_go_on_with_a_limited_number_while_one_takes_long() -> None:
    numbers, is_over = count(), Event()

    def given() -> Iterator[int]:
        for number in numbers:
            if number == 2 * LATE - 1:
                is_over.set()
            yield number

    def make(number: int) -> int:
        if number == 0:
            assert is_over.wait(PATIENCE_SECONDS), "others are begun while the first isn't made"
        return number

    with ThreadPoolExecutor(2) as threads:
        assert next(in_order(threads, make, given(), ahead=2)) == 0

    assert next(numbers) == 2 * LATE
