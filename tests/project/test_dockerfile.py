"""Properties of the images that can be tested without building them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.places import ROOT
from training.data import imagenet

STAGES = {
    name: text.replace("\\\n", " ")
    for name, text in re.findall(
        r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
}


@pytest.mark.usefixtures("no_https")
@pytest.mark.parametrize(("asked", "said"), [("", ""), ("yes", f"can't be downloaded from {imagenet.URL}")])
def test_the_image_downloads_imagenets_weights_where_that_is_asked_for(tmp_path: Path, asked: str, said: str) -> None:
    """Runs with the files that this stage copies, and fails because the internet can't be reached."""
    stage = STAGES["imagenet"]
    for copied in re.findall(r"^COPY (.+)$", stage, re.MULTILINE):
        *files, folder = copied.split()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(ROOT / file, tmp_path / folder)
    (command,) = re.findall(r"^RUN (.+)$", stage, re.MULTILINE)
    mine = command.replace("/imagenet", str(tmp_path / "imagenet")).replace("python -c", f"'{sys.executable}' -c")

    done = subprocess.run(
        ["sh", "-c", mine],
        cwd=tmp_path,
        env={**os.environ, "IMAGENET_WEIGHTS": asked},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert bool(done.returncode) == bool(asked)
    assert said in done.stderr
    assert list((tmp_path / "imagenet").glob("*.h5")) == []


@pytest.mark.parametrize("stage", ["train", "gpu"])
def test_an_image_that_carries_the_weights_names_them_and_compose_leaves_it_at_that(stage: str) -> None:
    trainer = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["trainer"]

    assert f"ENV CATDOG_IMAGENET_WEIGHTS=${{IMAGENET_WEIGHTS:+/srv/catdog/imagenet/{imagenet.FILE}}}" in STAGES[stage]
    assert "COPY --from=imagenet /imagenet imagenet" in STAGES[stage]
    assert trainer["environment"]["CATDOG_IMAGENET_WEIGHTS"] is None, "a value, or an empty one, would replace it"
