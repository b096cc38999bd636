"""Every command refuses wrong uses in one line: wrong folders, files, names, values, missing parts."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.service import publish
from tests.photos import draw_set
from tests.training.cli.wrong_folders import FOLDERS, files
from training.__main__ import main
from training.data import imagenet

STATUSES = {1, 2}  # it failed; an option is wrong
LONGEST = 3000  # characters of a message; argparse shows how the command is used
SECONDS = 20  # limit for a refusal on a busy machine
HUGE = "9" * 400

LOOKING = ("train", "evaluate", "doctor", "quantize", "remember", "familiarize", "import")
# The doctor describes photos that it can't use, and a version can be measured on what others couldn't be trained on.
FINE = {
    *(("doctor", folder.__name__) for folder in FOLDERS),
    *((command, folder) for command in ("evaluate", "remember", "import") for folder in ("only_tests", "one_class")),
    *(("import", folder) for folder in ("cut_photos", "huge_photos")),  # reported by the data check, before a training
}

WORDS = [
    "",
    "nonsense",
    "--nonsense",
    "--models",
    "--models ftp://host/models versions",
    "--models s3:// versions",
    "--data-dir",
    "train",
    "train --data",
    "train --data {photos} --nonsense",
    *(f"train --data {{photos}} --epochs {value}" for value in ("0", "-1", "1.5", "x", "''", HUGE)),
    *(f"train --data {{photos}} --batch-size {value}" for value in ("0", "-1", "x")),
    *(f"train --data {{photos}} --patience {value}" for value in ("0", "-1", "x")),
    *(f"train --data {{photos}} --seed {value}" for value in ("-1", "x", "1.5", HUGE)),
    *(f"train --data {{photos}} --width {value}" for value in ("0", "-1", "2", "nan", "inf", "x")),
    *(f"train --data {{photos}} --unfreeze {value}" for value in ("0", "6", "x", HUGE)),
    *(f"train --data {{photos}} --{name} nonsense" for name in ("strategy", "head", "recipe", "promote")),
    *(
        f"train --data {{photos}} --backbone {value}"
        for value in (
            "nowhere.h5",
            "{text}",
            "{empty}",
            "{cut}",
            "{photos}",
            "9",
            "0",
            HUGE,
            "''",
            "/dev/null",
            "{pipe}",
        )
    ),
    "train --data {photos} --backbone champion --width 0.5",
    "train --data {photos} --backbone auto --width 0.5",
    "train --data {photos} --backbone imagenet",
    "train --data {photos} --backbone AUTO",
    "--models {nowhere} train --data {photos}",
    "train --data {photos} --neither {nowhere}",
    "train --data {photos} --neither {text}",
    "evaluate",
    "evaluate --data {photos} --split nonsense",
    "evaluate --data {photos} --split ../..",
    "evaluate --data {photos} --neither {nowhere}",
    "evaluate --data {photos} --neither {empty_folder}",
    *(
        f"{command} --version {value}"
        for command in ("evaluate --data {photos}", "quantize --data {photos}", "summary")
        for value in ("0", "-1", "9", "x", "1.5", HUGE)
    ),
    "doctor",
    "doctor --data {photos} --dataset pets",
    *(f"doctor --dataset {value}" for value in ("nowhere", "''", "../x", "A", "x" * 300, "猫")),
    "import",
    "import {photos}",
    *(f"import {{photos}} --dataset {value}" for value in ("''", "../x", "A", "a/b", "x" * 300, "猫", "-")),
    *(f"promote {value}" for value in ("", "0", "-1", "9", "x", "1.5", HUGE)),
    "rollback",
    "rollback 1",
    "versions 1",
    "quantize",
    "quantize --data {photos} --promote nonsense",
    "remember",
    "familiarize",
    "download",
    "download {photos}",
    "download {text}",
    *(f"worker --threads {value}" for value in ("0", "-1", "x", "''")),
    *(f"worker --keep-versions {value}" for value in ("0", "x")),
    "worker --ray auto",  # Ray isn't installed
    *(
        f"--models {{nowhere}} {command}"
        for command in ("promote 1", "rollback", "summary", "evaluate --data {photos}")
    ),
    *(f"--models {{text}} {command}" for command in ("promote 1", "rollback", "summary", "train --data {photos}")),
    *(f"--data-dir {{text}} {command}" for command in ("evaluate --data {photos}", "import {photos} --dataset pets")),
    "--data-dir {text} doctor --dataset pets",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    return models_dir


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn"), 30)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A separate folder for each use, with a time limit."""
    for name in [name for name in os.environ if name.startswith("CATDOG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imagenet, "URL", f"http://127.0.0.1:9/{imagenet.FILE}")  # nothing is downloaded in a test
    monkeypatch.chdir(tmp_path)
    shutil.copytree(store, tmp_path / "models")
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _late(*_: object) -> None:
    raise AssertionError("the command didn't end")


def use(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit status and output; checks what all refusals have in common."""
    try:
        status = main(words)
    except SystemExit as ended:
        status = int(ended.code or 0)
    out, error = capsys.readouterr()
    for never in ("Traceback", "unexpectedly", "Value error", 'File "'):
        assert never not in out + error
    if status:
        assert status in STATUSES
        assert error.startswith(("catdog: ", "usage: ", "skipped ", "the backbone is "))
        assert error.splitlines()[-1].startswith(("catdog: ", "python -m training"))
        assert len(error) < LONGEST, error
    return status, out + error


@pytest.mark.parametrize("command", LOOKING)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.__name__)
def test_a_folder_that_holds_no_photos_of_classes_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], folder: Callable[[Path], Path], command: str
) -> None:
    (place / "photos").mkdir()
    given = str(folder(place / "photos"))
    words = [command, given, "--dataset", "pets"] if command == "import" else [command, "--data", given]
    if command == "familiarize":
        words += ["--neither", given]

    status, said = use(capsys, *words)

    assert status or (command, folder.__name__) in FINE, said
    assert said


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[:70])
def test_words_that_make_no_sense_are_refused(
    place: Path, drawn: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    files(place, b"no weights", "text")
    files(place, b"", "empty")
    files(place, (place / "models" / "1" / "model.weights.h5").read_bytes()[:2000], "cut")
    os.mkfifo(place / "pipe")
    (place / "empty_folder").mkdir()
    names = {name: str(place / name) for name in ("text", "empty", "cut", "pipe", "nowhere", "empty_folder")}
    filled = [word.format(**names, photos=drawn).replace("''", "") for word in words.split(" ")]

    status, said = use(capsys, *([] if words == "" else filled))

    assert status, said


BROKEN = {
    "champion": [b"", b"nonsense", b"0", b"-1", b"9", b"\xff", b"9" * 5000, b"1\n1\n"],
    "1/manifest.json": [b"", b"{}", b"[]", b"null", b"{", b"\xff", b'{"schema_version": 99}', b'{"version": NaN}'],
    "1/model.weights.h5": [b"", b"no weights", b"\x89HDF\r\n\x1a\n" + bytes(100)],
}


@pytest.mark.parametrize(
    "command", ["evaluate --data {photos}", "promote 1", "summary", "versions", "doctor --data {photos}"]
)
@pytest.mark.parametrize(
    "file", [(name, content) for name, contents in BROKEN.items() for content in contents], ids=str
)
def test_a_store_that_is_broken_is_described(
    place: Path, drawn: Path, capsys: pytest.CaptureFixture[str], file: tuple[str, bytes], command: str
) -> None:
    name, content = file
    (place / "models" / name).write_bytes(content)

    use(capsys, *command.format(photos=drawn).split(" "))


@pytest.mark.parametrize("name", ["champion", "1/manifest.json", "1/model.weights.h5"])
@pytest.mark.parametrize("command", ["evaluate --data {photos}", "promote 1", "summary", "versions"])
def test_a_folder_in_place_of_a_file_is_described(
    place: Path, drawn: Path, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    (place / "models" / name).unlink(missing_ok=True)
    (place / "models" / name).mkdir()

    use(capsys, *command.format(photos=drawn).split(" "))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CATDOG_TRAIN_THREADS", "many"),
        ("CATDOG_KEEP_VERSIONS", "-1"),
        ("CATDOG_DATABASE_URL", "nonsense"),
        ("CATDOG_DATABASE_URL", "sqlite:////nowhere/at/all/catdog.sqlite"),
        ("CATDOG_DATABASE_URL", "postgresql://127.0.0.1:1/nothing"),
        ("CATDOG_DATABASE_URL", "postgresql://[::1/nothing"),
        ("CATDOG_DATABASE_URL", "mysql://127.0.0.1/nothing"),
        ("CATDOG_MODELS_DIR", "/dev/null"),
        ("CATDOG_IMAGENET_WEIGHTS", "nowhere.h5"),
        ("CATDOG_IMAGENET_WEIGHTS", "/dev/null"),
        ("CATDOG_IMAGENET_WEIGHTS", "models/1/manifest.json"),
        ("CATDOG_IMAGENET_WEIGHTS", "models/1/model.weights.h5"),
    ],
)
def test_a_setting_that_is_wrong_is_described(
    drawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    words = {
        "CATDOG_TRAIN_THREADS": ("worker", "--until-idle"),
        "CATDOG_IMAGENET_WEIGHTS": ("train", "--data", str(drawn), "--backbone", "imagenet"),
    }.get(setting, ("doctor", "--dataset", "pets"))

    status, said = use(capsys, *words)

    assert status, said


@pytest.mark.parametrize("content", [b"\xff\xfe", b"CATDOG_MODELS_DIR='", b"no setting at all", b"\0"])
def test_a_file_of_settings_that_is_none_ends_no_command(
    place: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    files(place, content, ".env")

    use(capsys, "versions")
