"""`catdog backup` and `restore`."""

import json

from tests.app.service import publish
from tests.command.running import Catdog
from tests.photos import draw_set


def test_a_backup_is_made_and_restored(catdog: Catdog) -> None:
    publish(catdog.folder / "models")
    del catdog.environment["CATDOG_MODELS_DIR"]
    catdog.run("import", draw_set(catdog.folder / "photos", 3), "--dataset", "pets")

    made = json.loads(catdog.run("backup", "saved", "--json").stdout)
    there = ("--models", "m", "--data-dir", "d")
    said = catdog.run(*there, "restore", "saved").stdout

    assert (made["versions"], made["pictures"], made["rows"]["pictures"]) == ([1], 6, 6)
    assert said == "saved is restored: 1 versions, 6 pictures, 6 labels, 0 jobs\n"
    assert catdog.run(*there, "versions").stdout == catdog.run("versions").stdout
    assert "data sets or jobs already" in catdog.run(*there, "restore", "saved", status=1).stderr


def test_a_folder_that_is_no_backup_is_refused(catdog: Catdog) -> None:
    assert "is not a complete backup" in catdog.run("restore", ".", status=1).stderr
