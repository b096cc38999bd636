"""Signals after an engine was freed: OpenVINO leaves a stack for them that is no longer there."""

import signal
import subprocess
import sys

import pytest

from tests.places import ROOT

HANDLED_WHILE_AND_AFTER = """
import gc, os, signal, sys
from pathlib import Path
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions.store import Store

signal.signal(int(sys.argv[1]), lambda *_: print("handled", flush=True))
network = Store(Path("models")).open(1).network()
for streams in (1, 2, 2):
    engine = OpenVINOEngine(network, streams=streams)
    os.kill(os.getpid(), int(sys.argv[1]))
    del engine
    gc.collect()
    os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handled_while_there_is_an_engine_and_after_it_was_freed(number: signal.Signals) -> None:
    command = [sys.executable, "-c", HANDLED_WHILE_AND_AFTER, str(int(number))]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert (done.returncode, done.stdout) == (0, "handled\n" * 6)
