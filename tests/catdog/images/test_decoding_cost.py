"""The decoding cost is estimated from the header, and never underestimated by much."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catdog import images
from catdog.decoding_cost import Demand, demand
from tests.catdog.images.pictures import encode, patched, texture
from tests.catdog.images.test_images_refused import FILES, LARGE, gif_frame, run_length_bmp

PILLOW_NAMES = {"WebP": "WEBP", "HEIC": "HEIF"}


@pytest.mark.parametrize("format", [name for name in images.FORMATS if name != "JPEG"])
def test_twice_as_many_pixels_demand_twice_as_much(format: str) -> None:
    small, large = (demand(encode(Image.new("RGB", size), PILLOW_NAMES.get(format, format))) for size in SIZES)
    assert large.memory_bytes == 2 * small.memory_bytes >= 2 * 4 * 300 * 200
    assert large.seconds == pytest.approx(2 * small.seconds)


SIZES = ((300, 200), (300, 400))


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"save_all": True, "append_images": [Image.new("L", SIZES[0])]}]
)
def test_every_kind_of_webp_is_understood(options: dict[str, object]) -> None:
    assert demand(encode(Image.new("RGB", SIZES[0]), "WEBP", **options)) == demand(
        encode(Image.new("RGB", SIZES[0]), "WEBP")
    )


def test_a_large_jpeg_demands_little_if_it_is_decoded_at_a_reduced_size() -> None:
    photo = Image.new("RGB", (4000, 3000))
    assert demand(encode(photo, "JPEG")).memory_bytes < 12_000_000
    assert demand(encode(photo, "JPEG", progressive=True)).memory_bytes > 2 * 3 * 4000 * 3000
    assert demand(encode(photo, "JPEG")[:-2]).memory_bytes > 8 * 4000 * 3000
    assert demand(encode(photo, "JPEG", progressive=True)).seconds > 3 * demand(encode(photo, "JPEG")).seconds


def test_a_frame_larger_than_its_gif_counts() -> None:
    assert demand(gif_frame(4000)).memory_bytes > 9 * 4000 * 4000


def test_a_run_length_bmp_is_costly() -> None:
    plain = demand(encode(Image.new("L", (1000, 1000)), "BMP"))
    assert demand(run_length_bmp(1000, 1000)).seconds > 20 * plain.seconds


@pytest.mark.parametrize(
    "data", [b"", b"no photo", FILES["JPEG"][:20], FILES["PNG"][:20], FILES["WebP"][:20], b"GIF89a"]
)
def test_what_has_no_sound_header_demands_nothing(data: bytes) -> None:
    assert demand(data) == Demand()


def test_a_header_beyond_every_limit_is_understood() -> None:
    for data, width, height in LARGE.values():
        assert demand(data).memory_bytes >= 4 * width * height / 8**2


@settings(max_examples=300, deadline=None)
@given(data=st.data(), file=st.sampled_from(list(FILES.values())))
def test_a_damaged_file_demands_something_or_nothing_and_raises_no_error(data: st.DataObject, file: bytes) -> None:
    place, value = data.draw(st.integers(0, min(len(file), 200) - 1)), data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(file)))
    assert demand(patched(file, place, struct.pack("B", value))[:cut]).memory_bytes >= 0


def test_an_ordinary_photo_is_decoded_in_no_time() -> None:
    assert demand(encode(texture(1600, 1200), "JPEG")).seconds < 0.02
