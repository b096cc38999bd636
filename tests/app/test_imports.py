import subprocess
import sys

from app.imports import UNUSED
from tests.app.test_process import ROOT


def test_what_is_never_used_is_not_imported_and_garbage_is_collected_again() -> None:
    script = (
        "import gc, sys\n"
        "from app import imports\n"
        "with imports.shortened():\n"
        "    import app.main, catdog.engines.openvino\n"
        "    print(gc.isenabled())\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "print(*[name for name, module in sys.modules.items() if module is not None])"
    )

    inside, behind, names = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).splitlines()

    assert (inside, behind) == ("False", "True True")
    assert not [name for name in names.split() if name.startswith(UNUSED)]
    assert {"fastapi", "openvino", "pydantic"} <= set(names.split())
