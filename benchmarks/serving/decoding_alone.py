"""Photos decoded a second on all cores, with nothing else running."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from time import perf_counter

from benchmarks.harness import photos
from catdog import images
from catdog.system import resources


def decode(sent: list[bytes], first: int, seconds: float) -> float:
    """Photos a second on one thread, which begins at the one with that number."""
    turn, begun, count, took = cycle(sent[first:] + sent[:first]), perf_counter(), 0, 0.0
    while took < seconds:
        images.decode(next(turn))
        count, took = count + 1, perf_counter() - begun
    return count / took


def main() -> None:
    sent, threads = photos.photos(), resources.usable_cores()
    with ThreadPoolExecutor(threads) as pool:
        firsts = [place * len(sent) // threads for place in range(threads)]
        each = pool.map(decode, [sent] * threads, firsts, [float(sys.argv[1])] * threads)
        print(sum(each))


if __name__ == "__main__":
    main()
