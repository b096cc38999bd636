"""Every command of the README is run in order in a copy of this checkout, as a new user would type it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from benchmarks.harness.photos import Upload
from benchmarks.load.client import Client
from benchmarks.load.open_loop import OpenLoop
from catdog.versions.store import SHIPPED, Store
from tests.newcomer import Newcomer, blocks
from tests.photos import draw_set
from tests.places import ROOT
from tests.waiting import until

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = blocks(README)
DOCKER = next(block.splitlines() for block in BLOCKS if block.startswith("docker"))  # typed in tests/containers
ELSEWHERE = ("docker", "pip")  # typed in tests/containers and tests/command
COMMANDS = [line for block in BLOCKS if not block.startswith(ELSEWHERE) for line in block.splitlines()]
BY_HAND = ("/feedback", "/retrain/latest", "/promote")  # what the walk shows in addition to a training
TEACHING = [line for line in COMMANDS[COMMANDS.index("make trainer") :] if not line.endswith(BY_HAND)][:6]


def zip_pets(folder: Path) -> None:
    """300 real cats and dogs if available, else drawn ones."""
    photos = ROOT.parent / "shared" / "data" / "cats_and_dogs" / "train"
    if not photos.is_dir():
        photos = draw_set(folder / "drawn", 150)
    with ZipFile(folder / "pets.zip", "w") as archive:
        for label in ("cat", "dog"):
            for photo in sorted((photos / label).iterdir())[:150]:
                archive.write(photo, f"{label}/{photo.name}")


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    checkout = tmp_path_factory.mktemp("checkout")
    newcomer = Newcomer(checkout)
    draw_set(checkout / "photos", 60)
    zip_pets(checkout)
    yield newcomer
    newcomer.stop()


@pytest.mark.whole
def test_every_command_of_the_readme_works_in_its_order(newcomer: Newcomer) -> None:
    assert COMMANDS[0] == "make serve"
    versions = []
    for command in COMMANDS:
        printed = newcomer.type(command)
        assert "urn:catdog:problem" not in printed or "/rollback" in command, printed
        if command == "make train DATA=photos":
            assert "not promoted: accuracy" in printed
            assert "python -m training promote 3" in printed
        if command.endswith("/predict"):
            answer = json.loads(printed)
            assert answer["label"] in answer["probabilities"]
            versions.append(answer["model_version"])

    assert versions == [1, 1], "the photos are drawn, and what learnt from them knows less of cats and dogs"
    assert Store(newcomer.checkout / "models").versions() == (1, 2, 3, 4, 5)


def answered_by(load: OpenLoop, version: int) -> None:
    until(lambda: bool(load.answered) and load.answered[-1].version == version)


@pytest.mark.whole
@pytest.mark.data
def test_a_service_is_taught_by_the_readme_s_lines_under_load_and_fails_no_request(
    newcomer: Newcomer, shared_data: Path
) -> None:
    """At half its capacity: trained on real photos, after a training on drawn ones that is worse on real ones."""
    shutil.rmtree(newcomer.checkout / "data", ignore_errors=True)
    for left in (newcomer.checkout / "models").glob("[!1]*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    newcomer.serve()
    newcomer.type('make train DATA=photos OPTIONS="--promote always"')
    uploads = [Upload.of(photo.read_bytes()) for photo in sorted((shared_data / "originals").rglob("*.jpg"))]
    with Client(newcomer.port) as client:
        capacity = client.load(uploads, cycle(range(len(uploads))), seconds=2).requests_a_second

    models = []
    with OpenLoop(newcomer.port, uploads, capacity / 2) as load:
        for command in TEACHING:
            printed = newcomer.type(command)
            if command.endswith("/model"):
                models.append(json.loads(printed)["version"])
                answered_by(load, 3)  # before the next line rolls it back, also on a slow machine
        answered_by(load, 2)

    assert "promoted: accuracy" in newcomer.type(TEACHING[3])
    assert models == [3]
    assert {one.version for one in load.answered} == {2, 3}
    assert load.failures == 0
    assert len(load.answered) > 100


def test_the_answer_in_the_readme_is_the_real_one(newcomer: Newcomer) -> None:
    """The shipped model's, for the picture that the first command sends."""
    (shown,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL))
    picture = re.findall(r"curl -F file=@(\S+)", README)[0]
    photo = newcomer.checkout / picture
    (newcomer.checkout / "models" / "champion").unlink(missing_ok=True)
    newcomer.serve()

    answer = httpx.post(f"http://127.0.0.1:{newcomer.port}/predict", files={"file": photo.read_bytes()}).json()

    assert answer.keys() == shown.keys()
    assert (answer["label"], answer["model_version"]) == (shown["label"], shown["model_version"])
    assert answer["probability"] == pytest.approx(shown["probability"], abs=0.01)  # processors round differently


def test_the_accuracy_in_the_readme_is_that_of_the_shipped_version() -> None:
    metrics = Store(ROOT / "models").open(SHIPPED).manifest.metrics["test"]

    for number in (metrics.accuracy, metrics.accuracy_low, metrics.accuracy_high):
        assert f"{number:.1%}" in README
    assert f"{metrics.photos:,} photos" in README


def test_the_latency_in_the_readme_is_that_of_the_results_which_it_links_to() -> None:
    alone = served("full width")["catdog"]["latencies"]["1"]

    assert f"answers in **{1000 * alone['p50_seconds']:.0f} ms**" in README


def test_the_peers_in_the_readme_have_the_numbers_of_the_results_which_it_links_to() -> None:
    rows = [[cell.strip("* ") for cell in line.split("|")[1:-1]] for line in README.splitlines() if line[:1] == "|"]
    names = {"FastAPI with `model.predict`, as tutorials do it": "tutorial's way"}
    shown = {names.get(row[0], row[0]): row[1:] for row in rows}

    for name, measured in served("full width").items():
        assert shown[name] == [
            f"{measured['requests_a_second']['8']:.1f}",
            f"{1000 * measured['latencies']['1']['p50_seconds']:.0f} ms",
            f"{measured['first_answer_seconds']:.1f} s",
            f"{measured['resident_bytes'] / 1e6:.0f} MB",
        ]


@pytest.mark.parametrize(("name", "kind"), [("version 1", "full width"), ("`models/slim.zip`", "slim")])
def test_both_versions_in_the_readme_have_the_numbers_of_the_results_which_it_links_to(name: str, kind: str) -> None:
    (found,) = (comparison for comparison in results()["serving"] if comparison["kind"] == kind)
    ours = found["summaries"]["catdog"]

    assert (
        f"| {name} | {found['tested']['accuracy']:.1%} | {found['multiply_adds'] / 1e9:.3g} G"
        f" | {ours['requests_a_second']['8']:.{0 if kind == 'slim' else 1}f}"
        f" | {1000 * ours['latencies']['1']['p50_seconds']:.{1 if kind == 'slim' else 0}f} ms"
        f" | {ours['first_answer_seconds']:.2f} s | {ours['resident_bytes'] / 1e6:.0f} MB |"
    ) in README


def test_the_speed_with_amx_in_the_readme_is_that_of_the_results_which_it_links_to() -> None:
    many = served("full width", 1)["catdog"]["requests_a_second"]["8"]

    assert f"two cores answer {many:.0f}" in " ".join(README.split())


def test_what_retraining_takes_in_the_readme_is_that_of_the_results_which_it_links_to() -> None:
    measured = results(2)["retraining"]
    (full,) = (each for each in measured if each["is_full_width"])
    beside = full["training"]
    swaps = [each[kind] for each in measured for kind in ("swaps", "backbone_swaps")]

    assert f"**{full['jobs']['first']:.1f} s**" in README
    assert f"**{full['jobs']['again']:.1f} s**" in README
    assert f"{beside['beside_p99_milliseconds'] / beside['alone_p99_milliseconds']:.2f} times" in README
    assert f"{sum(each['swaps'] for each in swaps):,} promotions and rollbacks" in README
    assert sum(each["predictions"]["failures"] for each in swaps) == 0


def served(kind: str, place: int = 0) -> dict[str, Any]:
    """Each system's results with one model, in the results that the README links to first, or at another place."""
    (found,) = (comparison["summaries"] for comparison in results(place)["serving"] if comparison["kind"] == kind)
    return dict(found)


def results(place: int = 0) -> dict[str, Any]:
    """The results that the README links to, in order."""
    links = re.findall(r"benchmarks/results/\S+(?=\.md)", README)
    found: dict[str, Any] = json.loads((ROOT / f"{links[place]}.json").read_text("utf-8"))
    return found


def test_the_download_that_the_readme_names_works_or_says_what_to_do_without_it(newcomer: Newcomer) -> None:
    (command,) = re.findall(r"`(\S+ -m training download \S+)`", README)

    done = subprocess.run(
        command.split(),
        cwd=newcomer.checkout,
        env=newcomer.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0 or "--data" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_link_into_the_project_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
