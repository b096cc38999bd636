"""Costly photos never block the others, and stay within their memory budget."""

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from app.serving import decoding
from app.serving.decoding import COSTLY_SECONDS, Decoders, Memory
from catdog.decoding_cost import Demand, demand
from catdog.engines.engine import Engine
from tests.app.service import Service, encoded
from tests.app.watching import WatchedDecoding, WatchedEngine, ask, happens, photo, predicting
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS, until


def costly(shade: int) -> bytes:
    return encoded(Image.new("L", (2500, 2000), shade), "PNG")


def test_a_costly_photo_is_known_by_its_header() -> None:
    assert demand(costly(1)).seconds > COSTLY_SECONDS
    assert demand(photo(1)).seconds < COSTLY_SECONDS


@pytest.mark.parametrize("decoders", [1, 2])
def test_costly_photos_leave_a_thread_to_the_others(
    service: Service, real: Engine, decoding: WatchedDecoding, decoders: int
) -> None:
    predictor = predicting(service, WatchedEngine(real), decoders=decoders)
    slow = {costly(shade) for shade in (1, 2, 3)}
    decoding.holds = slow

    async def scenario() -> None:
        held = [asyncio.create_task(predictor.predict(each)) for each in slow]
        await happens(lambda: len(decoding.begun) == 1)
        await asyncio.gather(*await ask(predictor, range(10, 20)))
        assert len(slow & set(decoding.begun)) == 1
        decoding.let_go.set()
        await asyncio.gather(*held)

    asyncio.run(scenario())

    assert slow <= set(decoding.begun)


@pytest.mark.parametrize(("limit", "at_once"), [(1, 1), (4 * 2 * 9 * 2500 * 2000, 3)])
def test_photos_are_decoded_at_once_as_far_as_their_memory_goes(
    service: Service, real: Engine, decoding: WatchedDecoding, limit: int, at_once: int
) -> None:
    predictor = predicting(service, WatchedEngine(real), decoders=4, decoding_bytes=limit)
    large = [costly(shade) for shade in (1, 2, 3, 4)]
    decoding.holds = set(large)

    async def scenario() -> None:
        held = [asyncio.create_task(predictor.predict(each)) for each in large]
        await happens(lambda: len(decoding.begun) == at_once)
        await asyncio.gather(*await ask(predictor, [9] if limit > 1 else []))
        assert len([each for each in decoding.begun if each in large]) == at_once
        decoding.let_go.set()
        await asyncio.gather(*held)

    asyncio.run(scenario())


def test_memory_goes_to_the_first_that_waits_and_one_that_needs_all_of_it_gets_its_turn() -> None:
    memory, begun, end = Memory(100), list[int](), Event()

    def hold(size: int) -> None:
        with memory.taken(size):
            begun.append(size)
            assert end.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(3) as threads:
        threads.submit(hold, 60)
        until(lambda: begun == [60])
        threads.submit(hold, 500)
        until(memory.is_awaited)
        threads.submit(hold, 30)
        end.set()

    assert begun == [60, 500, 30]
    assert memory.taken_bytes == 0


def test_a_photo_is_decoded_even_if_memory_is_too_short_to_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(photo: bytes) -> Demand:
        raise MemoryError

    monkeypatch.setattr(decoding, "demand", fail)
    decoders, decoded = Decoders(1, 2**30), Event()
    decoders.submit(photo(1), decoded.set)
    assert decoded.wait(PATIENCE_SECONDS)
    decoders.close()


def test_what_a_closed_decoder_has_not_begun_is_dropped() -> None:
    decoders, begun, let_go = Decoders(1, 2**30), list[int](), Event()

    def decode(number: int) -> None:
        begun.append(number)
        assert let_go.wait(PATIENCE_SECONDS)

    for number in range(3):
        decoders.submit(photo(1), partial(decode, number))
    until(lambda: begun == [0])
    decoders.close()
    let_go.set()
    assert begun == [0]


STUCK = """
import sys
from threading import Event
from app import __main__
from catdog import images
def decode(data):
    print("decoding", file=sys.stderr, flush=True)
    Event().wait()
images.decode = decode
__main__.serve()
"""


def test_a_decoder_that_never_ends_does_not_hold_up_the_exit(models_dir: Path, jpeg: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    settings = {
        "PYTHONPATH": str(ROOT),
        "CATDOG_PORT": "0",
        "CATDOG_MODELS_DIR": str(models_dir),
        "CATDOG_DATA_DIR": str(tmp_path),
        "CATDOG_LOG_FORMAT": "text",
        "CATDOG_LEAVE_SECONDS": "0",
        "CATDOG_DRAIN_SECONDS": "1",
        "CATDOG_DEADLINE_SECONDS": str(PATIENCE_SECONDS),
    }
    popen = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=tmp_path, env=settings, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert popen.stderr is not None
    try:
        lines = iter(popen.stderr.readline, "")
        url = next(word for line in lines if " serves version " in line for word in line.split() if "http://" in word)
        command = [
            "curl",
            "-s",
            "-o",
            str(tmp_path / "answer"),
            "-F",
            f"file=@{tmp_path / 'photo.jpg'}",
            f"{url}/predict",
        ]
        with subprocess.Popen(command):  # it ends with the service
            try:
                assert any(line == "decoding\n" for line in lines)
                popen.send_signal(signal.SIGTERM)
                assert popen.wait(PATIENCE_SECONDS) == 0
            finally:
                popen.kill()
    finally:
        popen.kill()
        popen.wait()
        popen.stderr.close()
