"""The size of an AVIF is read from its pictures."""

import struct

import pytest
from PIL import Image

from catdog import images
from catdog.errors import BrokenImage, TooManyPixels
from catdog.image_formats import avif
from tests.catdog.images.pictures import encode, patched, texture


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(64, 48), (500, 375), (2999, 2001)])
def test_the_size_is_that_of_the_picture(size: tuple[int, int], mode: str, subsampling: str) -> None:
    data = encode(Image.new(mode, size), "AVIF", speed=10, subsampling=subsampling)
    assert avif.largest_frame(data) == size


def test_the_size_of_an_animation_is_that_of_its_first_frame() -> None:
    frames = [Image.new("RGBA", (300, 200), shade) for shade in range(20)]
    data = encode(frames[0], "AVIF", speed=10, save_all=True, append_images=frames[1:], duration=100)
    assert avif.largest_frame(data) == (300, 200)


def test_metadata_is_no_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(
        texture(300, 200), "AVIF", exif=exif.tobytes(), xmp=b"\x0a\x0b\0\0\0\xff" * 50, icc_profile=b"p" * 500
    )
    assert avif.largest_frame(data) == (300, 200)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_picture_larger_than_its_container_says_is_refused_by_its_own_size(mode: str) -> None:
    data = encode(Image.new(mode, (6000, 5000)), "AVIF", speed=10)
    at = -1
    while (at := data.find(b"ispe", at + 1)) >= 0:
        data = patched(data, at + 8, struct.pack(">II", 64, 64))
    with pytest.raises(TooManyPixels, match="6000 x 5000"):
        images.decode(data)


def test_a_file_without_a_picture_is_broken() -> None:
    data = encode(texture(64, 48), "AVIF")
    with pytest.raises(BrokenImage, match="no AV1 picture"):
        images.decode(data.replace(b"av01", b"av02"))


def iloc(items: int, extents: int) -> bytes:
    """A file with this number of items, each with this number of empty extents."""
    item = struct.pack(">HHH", 1, 0, extents)
    locations = b"iloc" + bytes(4) + b"\0\0" + struct.pack(">H", items) + item * items
    entry = struct.pack(">I", 20) + b"infe\2\0\0\0\0\1\0\0av01"
    entries = struct.pack(">I", 14 + len(entry)) + b"iinf" + bytes(4) + b"\0\1" + entry
    content = b"meta" + bytes(4) + entries + struct.pack(">I", 4 + len(locations)) + locations
    return struct.pack(">I", 20) + b"ftypavif" + bytes(4) + b"avif" + struct.pack(">I", 4 + len(content)) + content


@pytest.mark.parametrize(("items", "extents"), [(60_000, 0), (1, 60_000), (4000, 60_000)])
def test_more_parts_than_any_photo_has_are_refused_by_their_number(items: int, extents: int) -> None:
    with pytest.raises(BrokenImage, match="more than 4,096 parts"):
        images.decode(iloc(items, extents))


def test_parts_that_lie_over_each_other_are_refused() -> None:
    with pytest.raises(BrokenImage, match="parts overlap"):
        images.decode(iloc(1, 4000))


def test_more_boxes_than_any_photo_has_are_refused_by_their_number() -> None:
    with pytest.raises(BrokenImage, match="more than 4,096 boxes"):
        images.decode(encode(texture(64, 48), "AVIF") + (struct.pack(">I", 8) + b"free") * 5000)
