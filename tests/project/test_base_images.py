"""`make pin-images`, with a registry that answers one digest for each image."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

FILES = ("Dockerfile", "docker-compose.yml")
IMAGE = re.compile(r"(?:python|debian|postgres):[a-z0-9.-]*bookworm[a-z-]*(?:@sha256:[0-9a-f]{64})?")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def images(folder: Path) -> list[str]:
    return [name for file in FILES for name in IMAGE.findall((folder / file).read_text("utf-8"))]


def pin(folder: Path, digit: str) -> None:
    """Pin with digests that consist of one hexadecimal digit."""
    registry = folder / "docker"
    registry.write_text(f"#!/bin/sh\necho sha256:{digit * 64}\n")
    registry.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    subprocess.run(
        ["make", "pin-images"], cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True
    )


def test_each_base_image_is_pinned_and_pinned_again(tmp_path: Path) -> None:
    for name in ("Makefile", *FILES):
        shutil.copy(ROOT / name, tmp_path)
    before = [name.partition("@")[0] for name in images(tmp_path)]
    assert len(before) == 3

    for digit in "ab":
        pin(tmp_path, digit)
        assert images(tmp_path) == [f"{name}@sha256:{digit * 64}" for name in before]

    assert {file.name for file in tmp_path.iterdir()} == {"Makefile", "docker", *FILES}


def test_every_stage_begins_with_another_stage_or_with_an_image_that_is_pinned() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    stages = re.findall(r" AS ([a-z-]+)$", text, re.MULTILINE)

    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${PYTHON_IMAGE}", "${DEBIAN_IMAGE}", *stages}
