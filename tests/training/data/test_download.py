import socket
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from catdog.errors import DownloadError
from tests.training.data.photo_site import Site, serving
from tests.training.data.test_archive import PHOTOS, files, zipped
from training.data import resumable_fetch
from training.data.download import download

CONTENT = zipped(("cats_and_dogs_filtered/vectorize.py", b""))
DIGEST = sha256(CONTENT).hexdigest()
OTHER = zipped(("readme.txt", b"another edition"))
CUT = 300  # bytes that come before the connection is cut


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(CONTENT) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "photos"


@pytest.fixture
def cut(site: Site, folder: Path) -> Site:
    """A site that works again after it interrupted a download."""
    site.cut_after_bytes = CUT
    with pytest.raises(DownloadError, match=f"ended {len(CONTENT) - CUT:,} bytes early"):
        download(folder, site.url)
    site.cut_after_bytes = None
    return site


def complete(folder: Path) -> bool:
    """Whether all photos exist, and next to them only the record."""
    beside = [path.name for path in folder.parent.iterdir() if path != folder]
    return len(files(folder)) == len(PHOTOS) and beside == ["photos.zip.sha256"]


def test_the_folder_that_comes_back_holds_the_photos_for_training(site: Site, folder: Path) -> None:
    assert download(folder, site.url) == folder
    assert complete(folder)
    assert (folder / "validation" / "dog" / "dog.1.jpg").read_bytes() == b"validation dog 1" * 50


def test_the_digest_is_shown_and_kept_on_record(site: Site, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download(folder, site.url)
    assert (folder.parent / "photos.zip.sha256").read_text() == f"{DIGEST}  photos.zip\n"
    assert f"sha256 {DIGEST}" in capsys.readouterr().err


def test_photos_that_are_there_are_not_fetched_again(site: Site, folder: Path) -> None:
    for _ in range(2):
        assert download(folder, site.url) == folder
    assert len(site.ranges) == 1


def test_an_empty_folder_is_filled(site: Site, folder: Path) -> None:
    folder.mkdir(parents=True)
    download(folder, site.url)
    assert complete(folder)


def test_a_folder_with_other_things_is_refused_before_anything_is_fetched(site: Site, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.jpg").touch()
    with pytest.raises(DownloadError, match="other content"):
        download(folder, site.url)
    assert not site.ranges


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(cut: Site, folder: Path) -> None:
    download(folder, cut.url)
    assert complete(folder)
    assert (cut.ranges, cut.statuses) == ([None, f"bytes={CUT}-"], [200, 206])


def test_a_download_may_be_cut_off_again_and_again(cut: Site, folder: Path) -> None:
    cut.cut_after_bytes = CUT
    for _ in range(2):
        with pytest.raises(DownloadError, match="the same command resumes it"):
            download(folder, cut.url)
    cut.cut_after_bytes = None
    download(folder, cut.url)
    assert complete(folder)
    assert cut.ranges[-1] == f"bytes={3 * CUT}-"


def test_a_server_that_knows_no_ranges_sends_all_again(cut: Site, folder: Path) -> None:
    cut.knows_ranges = False
    download(folder, cut.url)
    assert complete(folder)
    assert cut.statuses == [200, 200]


def test_content_that_changed_meanwhile_is_fetched_from_the_start(cut: Site, folder: Path) -> None:
    cut.content, cut.etag = OTHER, '"second"'
    download(folder, cut.url)
    assert complete(folder)
    assert cut.statuses == [200, 200]
    assert sha256(OTHER).hexdigest() in (folder.parent / "photos.zip.sha256").read_text()


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_nothing_is_resumed(etag: str | None, site: Site, folder: Path) -> None:
    site.etag, site.cut_after_bytes = etag, CUT
    with pytest.raises(DownloadError) as caught:
        download(folder, site.url)
    assert "resumes" not in str(caught.value)
    site.cut_after_bytes = None
    download(folder, site.url)
    assert complete(folder)
    assert site.ranges == [None, None]


def test_an_archive_that_came_whole_but_was_not_unpacked_is_not_fetched_again(site: Site, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    (folder.parent / "photos.zip.part").write_bytes(CONTENT)
    (folder.parent / "photos.zip.part.etag").write_text('"first"')
    download(folder, site.url)
    assert complete(folder)
    assert site.statuses == [416]


def test_a_part_longer_than_the_whole_is_thrown_away(site: Site, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    (folder.parent / "photos.zip.part").write_bytes(CONTENT + b"?")
    (folder.parent / "photos.zip.part.etag").write_text('"first"')
    with pytest.raises(DownloadError, match="416"):
        download(folder, site.url)
    download(folder, site.url)
    assert complete(folder)


def test_a_range_that_was_not_asked_for_is_not_taken(cut: Site, folder: Path) -> None:
    cut.shift_bytes = 10
    with pytest.raises(DownloadError, match="a different part"):
        download(folder, cut.url)
    cut.shift_bytes = 0
    download(folder, cut.url)
    assert complete(folder)


def test_an_archive_of_unsaid_length_is_taken(site: Site, folder: Path) -> None:
    site.says_length = False
    download(folder, site.url)
    assert complete(folder)


def test_another_archive_than_the_one_on_record_is_refused(site: Site, folder: Path) -> None:
    record = folder.parent / "photos.zip.sha256"
    record.parent.mkdir()
    record.write_text(f"{DIGEST}  photos.zip\n")
    site.content = OTHER
    with pytest.raises(DownloadError, match=f"{sha256(OTHER).hexdigest()}, but {DIGEST} was expected"):
        download(folder, site.url)
    assert list(folder.parent.iterdir()) == [record]
    site.content = CONTENT
    download(folder, site.url)
    assert complete(folder)


def test_a_digest_that_is_passed_counts_more_than_the_one_on_record(site: Site, folder: Path) -> None:
    folder.parent.mkdir()
    (folder.parent / "photos.zip.sha256").write_text(f"{'0' * 64}  photos.zip\n")
    download(folder, site.url, sha256=DIGEST.upper())
    assert (folder.parent / "photos.zip.sha256").read_text() == f"{DIGEST}  photos.zip\n"


def test_another_archive_than_the_pinned_one_is_refused_and_not_put_on_record(site: Site, folder: Path) -> None:
    with pytest.raises(DownloadError, match="0 was expected"):
        download(folder, site.url, sha256="0" * 64)
    assert not list(folder.parent.iterdir())


def test_photos_that_are_there_must_have_come_with_the_pinned_digest(site: Site, folder: Path) -> None:
    download(folder, site.url)
    assert download(folder, site.url, sha256=DIGEST.upper()) == folder
    with pytest.raises(DownloadError, match=f"with the sha256 {DIGEST}, not 000"):
        download(folder, site.url, sha256="0" * 64)


def test_what_is_no_archive_is_neither_kept_nor_put_on_record(site: Site, folder: Path) -> None:
    site.content = b"<html>log in to this network</html>"
    with pytest.raises(DownloadError, match="not a zip file"):
        download(folder, site.url)
    assert not list(folder.parent.iterdir())


def test_an_archive_that_is_gone_is_an_error_that_says_what_to_pass_instead(site: Site, folder: Path) -> None:
    site.missing = True
    with pytest.raises(DownloadError, match=r"photos\.zip: HTTP Error 404.*train --data DIR.*DIR/cat"):
        download(folder, site.url)


def test_no_network_is_an_error_that_says_what_to_pass_instead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"refused\. Without them.*train --data DIR"):
        download(folder, f"http://127.0.0.1:{port}/photos.zip")


def test_a_server_that_says_nothing_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DownloadError, match="timed out"):
        download(folder, f"http://127.0.0.1:{silent.getsockname()[1]}/photos.zip", timeout_seconds=0.05)


def test_progress_ends_with_all_bytes(site: Site, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download(folder, site.url)
    size = f"{len(CONTENT) / 1e6:.1f}"
    assert f"{size} of {size} MB" in capsys.readouterr().err


def test_progress_moves_on_a_terminal_and_says_how_much_is_left(
    site: Site, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(resumable_fetch, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(resumable_fetch, "CHUNK_BYTES", 500)
    download(folder, site.url)
    moves = capsys.readouterr().err.split("\n")[0].split("\r")[1:]
    assert len(moves) > 3
    assert all("MB/s" in move and "left" in move for move in moves)
