"""Resizes a decoded photo to a square with an antialiased bicubic filter (Keys, a = -0.5).

cykooz-resizer uses SIMD instructions, Pillow doesn't (decision 13). They round differently, usually by one level of
0-255. Pillow is used if cykooz-resizer has no wheels (Linux on ARM) or isn't installed.
"""

from importlib.util import find_spec

from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

HAS_SIMD = find_spec("cykooz_resizer") is not None
if HAS_SIMD:
    from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

    _BICUBIC = ResizeAlg.convolution(FilterType.catmull_rom)  # another name for the same kernel
    _PIXEL_TYPES = {"L": PixelType.U8, "RGB": PixelType.U8x3}


def squash(photo: Image.Image, pixels: int, box: Box | None, reducing_gap: int) -> Image.Image:
    """The `box` of the photo, None for all of it, as a square of `pixels` per side; mode L or RGB like the photo.

    A photo with a side of at least 2 * `reducing_gap` * `pixels` is first reduced by a whole number.
    """
    if HAS_SIMD and max(photo.size) < 2 * reducing_gap * pixels:
        return with_simd(photo, pixels, box)
    return with_pillow(photo, pixels, box, reducing_gap)


def with_pillow(photo: Image.Image, pixels: int, box: Box | None, reducing_gap: int) -> Image.Image:
    return photo.resize((pixels, pixels), Image.Resampling.BICUBIC, box, reducing_gap=reducing_gap)


def with_simd(photo: Image.Image, pixels: int, box: Box | None) -> Image.Image:
    # The pixels are passed as bytes, whose length the library checks. Its `resize_pil` saves one copy, but depends on
    # the memory layout of Pillow's structures, which changes between Pillow's versions.
    kind = _PIXEL_TYPES[photo.mode]
    source = ImageData(*photo.size, kind, photo.tobytes())
    square = ImageData(pixels, pixels, kind)
    left, top, right, bottom = box or (0, 0, *photo.size)
    crop = CropBox(left, top, right - left, bottom - top)
    Resizer().resize(source, square, ResizeOptions(_BICUBIC, crop_box=crop))
    return Image.frombytes(photo.mode, (pixels, pixels), square.get_buffer())
