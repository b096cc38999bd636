"""A classification that is stopped at any moment: the same command continues, and no row is lost or doubled."""

import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.classification.journal import Journal, JournalError, Row
from catdog.system.failpoints import OF_CLASSIFYING
from catdog.versions.store import Store
from tests.app.service import publish
from tests.command.classify.tables import rows
from tests.command.running import Catdog
from tests.photos import draw_set
from tests.waiting import until

KILLED = -signal.SIGKILL
MANY = 300  # photos of each kind, for kills at random moments


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("many"), MANY)


@pytest.fixture(scope="module")
def undisturbed(many: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of a command that isn't stopped."""
    catdog = Catdog(tmp_path_factory.mktemp("undisturbed"), models_dir)
    catdog.run("classify", many, "--to", "result.csv")
    return rows(catdog.folder / "result.csv")


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row["cat"] == pytest.approx(other["cat"], abs=1e-6)


@pytest.mark.whole
@pytest.mark.parametrize("moment", OF_CLASSIFYING)
def test_a_kill_at_each_step_costs_no_row_and_doubles_none(
    catdog: Catdog, many: Path, undisturbed: list[dict[str, Any]], moment: str
) -> None:
    command = ["classify", str(many), "--to", "result.csv", "--sort-into", "sorted"]

    with catdog.start(*command, FAILPOINTS=moment) as killed:
        killed.communicate()
    assert killed.returncode == KILLED
    catdog.run(*command)

    assert_same(rows(catdog.folder / "result.csv"), undisturbed)
    assert len([path for path in (catdog.folder / "sorted").rglob("*") if path.is_file()]) == 2 * MANY
    assert sorted(path.name for path in catdog.folder.iterdir()) == ["cache", "result.csv", "sorted"]


def _has_begun(process: subprocess.Popen[str], journal: Path) -> bool:
    return journal.exists() or process.poll() is not None


@pytest.mark.whole
def test_kills_at_random_moments_cost_no_row_and_double_none(
    catdog: Catdog, many: Path, undisturbed: list[dict[str, Any]]
) -> None:
    chance = random.Random(1)  # noqa: S311  # no secret
    kills = 0
    for _ in range(8):
        with catdog.start("classify", many, "--to", "result.csv") as process:
            journal = catdog.folder / "result.csv.journal"
            with suppress(subprocess.TimeoutExpired):
                until(partial(_has_begun, process, journal))
                process.wait(chance.uniform(0, 1.5))
            process.kill()
            process.communicate()
        kills += process.returncode == KILLED
        if (catdog.folder / "result.csv").exists():
            break
    if not (catdog.folder / "result.csv").exists():
        catdog.run("classify", many, "--to", "result.csv")

    assert kills > 0
    assert_same(rows(catdog.folder / "result.csv"), undisturbed)


def test_ctrl_c_keeps_what_is_done_and_says_how_to_continue(
    catdog: Catdog, many: Path, undisturbed: list[dict[str, Any]]
) -> None:
    """The list on standard input has no end yet when Ctrl-C comes, so the command can't have finished."""
    paths = [f"{row['path']}\n" for row in undisturbed]
    journal = catdog.folder / "result.csv.journal"
    with catdog.start("classify", "-", "--to", "result.csv", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.writelines(paths[: MANY // 2])
        process.stdin.flush()
        until(journal.exists)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read() if process.stderr is not None else ""
        process.stdin.close()

    assert process.returncode == 130
    assert "stopped; the same command continues" in said
    assert "Traceback" not in said
    catdog.run("classify", "-", "--to", "result.csv", given="".join(paths))
    assert_same(rows(catdog.folder / "result.csv"), undisturbed)


SWALLOWED = """
import os, signal, sys
from app.classification import continuing
from command.__main__ import main

begun = continuing.begun

def swallow(*arguments):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        return begun(*arguments)

continuing.begun = swallow
main()
"""


def test_ctrl_c_is_noticed_even_if_a_library_swallows_it(catdog: Catdog, photos: Path) -> None:
    words = [sys.executable, "-c", SWALLOWED, "classify", str(photos / "cat"), "--to", "result.csv"]
    done = subprocess.run(
        words, cwd=catdog.folder, env=catdog.environment, capture_output=True, encoding="utf-8", check=False
    )

    assert done.returncode == 130, done.stderr
    assert "stopped; the same command continues" in done.stderr
    assert not (catdog.folder / "result.csv").exists()


def test_what_is_done_is_not_done_again(catdog: Catdog, photos: Path) -> None:
    with catdog.start("classify", photos / "cat", "--to", "result.jsonl", FAILPOINTS="classify.written") as killed:
        killed.communicate()
    first = rows(catdog.folder / "result.jsonl")
    shutil.copytree(photos / "cat", catdog.folder / "cat")

    catdog.run("classify", photos / "cat", catdog.folder / "cat" / "1.png", "--to", "result.jsonl", status=0)

    found = rows(catdog.folder / "result.jsonl")
    assert found[: len(first)] == first
    assert [row["path"] for row in found[len(first) :]] == [str(catdog.folder / "cat" / "1.png")]


def test_the_version_that_began_a_result_also_finishes_it(tmp_path: Path, photos: Path) -> None:
    store = Store(tmp_path / "models")
    publish(store.root)
    publish(store.root, seed=8)
    catdog = Catdog(tmp_path)
    with catdog.start("classify", photos / "cat", "--to", "result.jsonl", FAILPOINTS="classify.row") as killed:
        killed.communicate()
    store.promote(2)

    catdog.run("classify", photos / "cat", "--to", "result.jsonl")

    assert {row["version"] for row in rows(tmp_path / "result.jsonl")} == {1}


def test_other_settings_than_at_the_beginning_are_refused(catdog: Catdog, photos: Path) -> None:
    with catdog.start("classify", photos / "cat", "--to", "result.jsonl", FAILPOINTS="classify.row") as killed:
        killed.communicate()

    said = catdog.run("classify", photos / "cat", "--to", "result.jsonl", status=1, CATDOG_UNKNOWN_KEEP="0.8").stderr

    assert "was begun with another model or other settings" in said


def test_two_commands_do_not_write_one_result(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as first:
        first.begin({})
        with pytest.raises(JournalError, match="another catdog writes this result"):
            Journal(tmp_path / "journal")


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("something else, and long enough to be looked at as a database" * 10)

    with pytest.raises(JournalError, match="is no journal"):
        Journal(tmp_path / "journal")


def test_a_row_is_added_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.begin({"version": 1})
        journal.add(Row("a.jpg", True, (0.25, 0.75)))
        journal.add(Row("a.jpg", True, error="another"))
        assert journal.has("a.jpg")
        assert not journal.has("b.jpg")

    with Journal(tmp_path / "journal") as journal:
        assert list(journal.rows()) == [Row("a.jpg", True, [0.25, 0.75])]
        assert journal.facts() == {"version": 1}
