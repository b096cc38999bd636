import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.processes.assembly import UNUSED
from tests.places import ROOT


def printed_by(script: str, **variables: str) -> list[str]:
    command = [sys.executable, "-c", script]
    return subprocess.check_output(command, cwd=ROOT, env=os.environ | variables, encoding="utf-8").splitlines()


def test_what_is_never_used_is_not_imported_and_garbage_is_collected_again() -> None:
    script = (
        "import gc, sys\n"
        "from app.processes import assembly\n"
        "interval = sys.getswitchinterval()\n"
        "with assembly.shortened_imports():\n"
        "    import app.main, catdog.engines.openvino\n"
        "    print(gc.isenabled(), sys.getswitchinterval() < interval)\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, sys.getswitchinterval() == interval)\n"
        "print(*[name for name, module in sys.modules.items() if module is not None])"
    )

    inside, behind, names = printed_by(script)

    assert (inside, behind) == ("False True", "True True True")
    assert not [name for name in names.split() if name.startswith(UNUSED)]
    assert {"fastapi", "openvino", "pydantic"} <= set(names.split())


@pytest.mark.parametrize(("setting", "found"), [(None, "False"), ("", "True")])
def test_plugins_of_pydantic_are_not_searched_unless_enabled(tmp_path: Path, setting: str | None, found: str) -> None:
    (tmp_path / "plugged.py").write_text("plugin = None\n")
    installed = tmp_path / "plugged-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[pydantic]\nplugged = plugged:missing\n")
    script = (
        "import sys\n"
        "from app.processes import assembly\n"
        "with assembly.shortened_imports():\n"
        "    import app.serving.prediction\n"
        "print('plugged' in sys.modules)"
    )
    wanted = {} if setting is None else {"PYDANTIC_DISABLE_PLUGINS": setting}

    assert printed_by(script, PYTHONPATH=str(tmp_path), **wanted) == [found]
