"""The images and the compose file are built and run; `running.py` has the tests of the running containers.

`make test-containers` runs these. `tools/verify-container.sh` next to the checkout builds, starts and stops everything,
with a separate engine if none is running.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

VERIFY = ROOT.parent / "shared" / "tools" / "verify-container.sh"
RUNNING = Path(__file__).with_name("running.py")
SKIPPED = "SKIP: "

pytestmark = pytest.mark.containers


def verify(profile: str) -> None:
    """Bring the compose file up with a profile, run the tests of `running.py` on it, take it down."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        published = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATDOG_")} | {
        "VERIFY_PROJECT": str(ROOT),
        "VERIFY_CMD": f"'{sys.executable}' -m pytest '{RUNNING}' -q -x --rootdir '{ROOT}' -p no:cacheprovider",
        "COMPOSE_PROFILES": profile,
        "CATDOG_PUBLISH": published,
        "CATDOG_VERIFIED_PROFILE": profile,
        "PYTHONPATH": str(ROOT),
    }
    if profile == "postgres":
        environment["VERIFY_OVERRIDE"] = str(RUNNING.with_name("postgres.yml"))
        environment["CATDOG_DATABASE_URL"] = "postgresql://catdog:catdog@postgres/catdog"
    if profile == "s3":
        environment |= {
            "CATDOG_PACKAGES": "storage",
            "CATDOG_MODELS_DIR": "s3://models/catdog",
            "AWS_ENDPOINT_URL": "http://s3:5000",
        }
        environment |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
    done = subprocess.run(["bash", str(VERIFY)], env=environment, capture_output=True, encoding="utf-8", check=False)
    for line in done.stdout.splitlines():
        if SKIPPED in line:
            pytest.skip(line.partition(SKIPPED)[2])
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


@pytest.mark.skipif(not VERIFY.exists(), reason="what builds and starts containers isn't beside this checkout")
@pytest.mark.parametrize("profile", ["", "postgres", "s3"], ids=["sqlite", "postgres", "s3"])
def test_docker_compose_up_serves_retrains_and_stops(profile: str) -> None:
    verify(profile)
