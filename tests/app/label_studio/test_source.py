"""Pictures are fetched from the Label Studio of the settings, and from nowhere else."""

from base64 import b64encode

import pytest
from PIL import Image
from pydantic import HttpUrl, SecretStr

from app.errors import PictureUnavailable
from app.label_studio.source import LabelStudio
from app.settings import Settings
from tests.app.label_studio.studio import LEGACY, PERSONAL, SHORT_LIVED, Studio, running
from tests.app.service import encoded

PHOTO = encoded(Image.new("L", (16, 16), 99), "PNG")


def connected(url: str, token: str | None = LEGACY, limit_bytes: int = 9999) -> LabelStudio:
    return LabelStudio(
        Settings.model_construct(
            label_studio_url=HttpUrl(url),
            label_studio_token=None if token is None else SecretStr(token),
            max_upload_bytes=limit_bytes,
        )
    )


async def fetched(source: LabelStudio, address: str) -> bytes | Exception:
    (found,) = await source.pictures([address])
    return found


@pytest.mark.anyio
async def test_addresses_with_and_without_its_host_are_fetched_with_the_token(studio: Studio) -> None:
    path = studio.task(1, PHOTO)["data"]["image"]

    for address in (path, f"{studio.url}{path}"):
        assert await fetched(connected(studio.url), address) == PHOTO
    assert studio.seen == [(path, f"Token {LEGACY}")] * 2


@pytest.mark.anyio
async def test_a_personal_token_is_exchanged_for_a_short_lived_one(studio: Studio) -> None:
    path = studio.task(1, PHOTO)["data"]["image"]

    source = connected(studio.url, PERSONAL)
    for _ in range(3):
        assert await fetched(source, path) == PHOTO
    assert studio.seen == [(path, f"Bearer {SHORT_LIVED}")] * 3
    assert studio.exchanges == 1


@pytest.mark.anyio
async def test_no_other_address_is_fetched(studio: Studio) -> None:
    with running() as other:
        path = other.task(1, PHOTO)["data"]["image"]
        elsewhere = other.url.removeprefix("http:")
        port = studio.url.rpartition(":")[2]
        for address in (
            f"{other.url}{path}",
            f"{elsewhere}{path}",
            f"http://127.0.0.1:{port}@{elsewhere[2:]}{path}",
            f"http:\\\\127.0.0.1:{port}\\@{elsewhere[2:]}{path}",
            f"https://127.0.0.1:{port}{path}",
            f"http://localhost:{port}{path}",
            "file:///etc/hostname",
            "ftp://127.0.0.1/x",
            "/data/x HTTP/1.1\r\nHost: other\r\n\r\n",
        ):
            assert isinstance(await fetched(connected(studio.url), address), PictureUnavailable), address
        assert other.seen == []


@pytest.mark.anyio
async def test_redirects_are_not_followed(studio: Studio) -> None:
    studio.task(1, PHOTO)

    refused = await fetched(connected(studio.url), "/moved.png")

    assert "answered 302" in str(refused)
    assert [path for path, _ in studio.seen] == ["/moved.png"]


@pytest.mark.anyio
async def test_a_picture_over_the_limit_is_refused(studio: Studio) -> None:
    path = studio.task(1, PHOTO)["data"]["image"]

    assert "limit of 10 bytes" in str(await fetched(connected(studio.url, limit_bytes=10), path))


@pytest.mark.anyio
async def test_a_picture_may_stand_in_the_task(studio: Studio) -> None:
    source = connected(studio.url)

    assert await fetched(source, f"data:image/png;base64,{b64encode(PHOTO).decode()}") == PHOTO
    assert "base64" in str(await fetched(source, "data:image/png,abc"))
    assert "base64" in str(await fetched(source, "data:image/png;base64,*"))


@pytest.mark.anyio
async def test_what_is_wrong_with_the_connection_is_said(studio: Studio) -> None:
    assert "answered 401" in str(await fetched(connected(studio.url, None), "/data/1.png"))
    assert "refused" in str(await fetched(connected("http://127.0.0.1:9"), "/data/1.png"))
