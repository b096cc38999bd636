from pathlib import Path

import pytest

from catdog.errors import BrokenImage
from training.data.dataset import Photo
from training.fitting.observer import Terminal

ROW = {
    "epoch": 1,
    "seconds": 2.0,
    "pixels": 32,
    "photos_per_second": 1234.5,
    "loss": 0.25,
    "val_log_loss": 0.125,
    "val_accuracy": 0.97,
}


def test_the_terminal_shows_a_line_an_epoch_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.phase("fitting")
    terminal.progress(0.25, 3725.4)
    terminal.epoch(ROW, 4)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.rstrip() == (
        "epoch 1/4  32 px  1,234 photos/s  1:02:05 left  loss 0.2500  validation log-loss 0.1250, accuracy 97.00%"
    )


def test_the_terminal_names_a_photo_that_was_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().skipped(Photo(Path("cat/7.jpg"), 0, "0" * 64, "7.jpg"), BrokenImage("JPEG", "cut short"))

    said = capsys.readouterr()
    assert said.err.startswith("skipped cat/7.jpg: the JPEG is broken")
    assert said.out == ""


def test_without_a_terminal_nothing_is_said_within_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().progress(0.5, None)

    assert capsys.readouterr().err == ""


def test_without_a_terminal_a_long_phase_says_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10_000, 11))
    monkeypatch.setattr("training.fitting.observer.monotonic", lambda: next(seconds))
    terminal = Terminal()

    for done in range(1, 9):
        terminal.progress(done / 9, 9.0 - done)

    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 2
    assert lines[0] == ["33%", "0:00:06", "left"]
