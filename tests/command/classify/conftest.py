"""What the tests of `catdog classify` share."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.photos import draw_set

PHOTOS = 20


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, a broken one, a ZIP with two more, and files that are no photos."""
    folder = draw_set(tmp_path_factory.mktemp("photos"), PHOTOS // 2)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "cat" / "without-ending").write_bytes((folder / "cat" / "1.png").read_bytes())
    with ZipFile(folder / "more.zip", "w") as archive:
        for name in ("2.png", "1.png"):
            archive.write(folder / "dog" / name, f"dog/{name}")
        archive.writestr("readme.txt", "no photo")
    return folder


@pytest.fixture(scope="session")
def paths(photos: Path) -> list[str]:
    """The paths in a result of that folder, in order."""
    names = [
        "broken.jpg",
        *(f"cat/{number}.png" for number in range(PHOTOS // 2)),
        "cat/without-ending",
        *(f"dog/{number}.png" for number in range(PHOTOS // 2)),
        "more.zip/dog/1.png",
        "more.zip/dog/2.png",
    ]
    return [str(photos / name) for name in names]
