"""Resizes a decoded photo to a square with an antialiased bicubic filter (Keys, a = -0.5).

cykooz-resizer does it with SIMD instructions, Pillow without: docs/decisions/0013. They round differently, by one
level of 0-255 as a rule. Pillow does it where the other has no wheels (Linux on ARM) or isn't installed.
"""

from importlib.util import find_spec

from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

HAS_SIMD = find_spec("cykooz_resizer") is not None
if HAS_SIMD:
    from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

    _BICUBIC = ResizeAlg.convolution(FilterType.catmull_rom)  # another name of the same kernel
    _PIXEL_TYPES = {"L": PixelType.U8, "RGB": PixelType.U8x3}


def squash(photo: Image.Image, pixels: int, box: Box | None, reducing_gap: int) -> Image.Image:
    """The photo, of which `box` None takes all, as a square of `pixels` a side; mode L or RGB, as it came.

    A photo with a side of at least twice `reducing_gap` times as many pixels is first reduced by a whole number.
    """
    if HAS_SIMD and max(photo.size) < 2 * reducing_gap * pixels:
        return with_simd(photo, pixels, box)
    return with_pillow(photo, pixels, box, reducing_gap)


def with_pillow(photo: Image.Image, pixels: int, box: Box | None, reducing_gap: int) -> Image.Image:
    return photo.resize((pixels, pixels), Image.Resampling.BICUBIC, box, reducing_gap=reducing_gap)


def with_simd(photo: Image.Image, pixels: int, box: Box | None) -> Image.Image:
    # By way of bytes, whose number the library checks. Its `resize_pil` saves one of those copies, but
    # depends on how Pillow's structures lie in memory, which changes between Pillow's versions.
    kind = _PIXEL_TYPES[photo.mode]
    source = ImageData(*photo.size, kind, photo.tobytes())
    square = ImageData(pixels, pixels, kind)
    left, top, right, bottom = box or (0, 0, *photo.size)
    crop = CropBox(left, top, right - left, bottom - top)
    Resizer().resize(source, square, ResizeOptions(_BICUBIC, crop_box=crop))
    return Image.frombytes(photo.mode, (pixels, pixels), square.get_buffer())
