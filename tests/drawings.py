"""The sample pictures of the page, drawn: `.venv/bin/python -m tests.drawings app/ui/static/samples`.

They are drawn here so that they may be passed on with the project. Ground, fur and blur are chosen so that the shipped
model knows the cat and the dog, as it does photos, and not the teapot.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 1200  # pixels that are drawn on, a side
SHOWN = 448  # pixels of a sample, a side
QUALITY = 85  # of its JPEG

Draw = ImageDraw.ImageDraw
Colour = tuple[int, int, int]


def cat(draw: Draw) -> None:
    """A grey cat's face."""
    fur, dark, light = (150, 148, 150), (88, 84, 86), (232, 228, 224)
    for side in (-1, 1):
        draw.polygon([(600 + side * x, y) for x, y in ((390, 160), (90, 420), (400, 620))], fur)
        draw.polygon([(600 + side * x, y) for x, y in ((350, 250), (170, 420), (350, 540))], (222, 160, 150))
    draw.ellipse((190, 330, 1010, 1060), fur)
    for x in (-130, 0, 130):
        draw.polygon([(600 + x - 26, 340), (600 + x + 26, 340), (600 + x * 0.7, 520)], dark)
    for side in (-1, 1):
        for y in (640, 730):
            draw.polygon([(600 + side * 405, y), (600 + side * 405, y + 40), (600 + side * 270, y + 40)], dark)
        draw.ellipse((600 + side * 190 - 85, 560, 600 + side * 190 + 85, 720), (178, 200, 92))
        draw.ellipse((600 + side * 190 - 26, 565, 600 + side * 190 + 26, 715), (20, 20, 20))
        draw.ellipse((600 + side * 95 - 125, 770, 600 + side * 95 + 125, 970), light)
        for end in (-60, 10, 80):
            draw.line((600 + side * 150, 860, 600 + side * 520, 850 + end), (250, 245, 238), 6)
    draw.polygon([(545, 770), (655, 770), (600, 830)], (206, 110, 104))
    draw.line((600, 830, 600, 880), dark, 8)


def dog(draw: Draw) -> None:
    """A brown dog, sitting."""
    fur, dark, light = (176, 128, 76), (96, 62, 34), (236, 220, 196)
    draw.ellipse((300, 800, 900, 1500), fur)
    draw.ellipse((440, 960, 760, 1500), light)
    draw.ellipse((250, 200, 950, 1000), fur)
    ear = ((240, 250), (420, 300), (470, 560), (400, 760), (300, 640), (280, 420))
    for side in (-1, 1):
        draw.polygon([(600 + side * x, y) for x, y in ear], dark)
        draw.ellipse((600 + side * 160 - 60, 470, 600 + side * 160 + 60, 580), (40, 24, 14))
        draw.ellipse((600 + side * 160 - 10, 490, 600 + side * 160 + 15, 515), (240, 240, 240))
        draw.ellipse((600 + side * 85 - 140, 690, 600 + side * 85 + 140, 930), light)
    draw.ellipse((500, 430, 700, 800), light)
    draw.ellipse((500, 640, 700, 780), (30, 24, 24))
    draw.line((600, 780, 600, 870), dark, 10)
    draw.arc((480, 800, 600, 920), 20, 120, dark, 10)
    draw.arc((600, 800, 720, 920), 60, 160, dark, 10)
    draw.polygon([(550, 900), (650, 900), (640, 1010), (600, 1040), (560, 1010)], (222, 110, 120))


def teapot(draw: Draw) -> None:
    """A blue teapot on a table."""
    glaze, shade, table = (72, 110, 158), (46, 76, 116), (204, 178, 146)
    draw.rectangle((0, 850, SIZE, SIZE), table)
    draw.ellipse((760, 430, 1080, 800), outline=glaze, width=60)
    draw.polygon([(380, 620), (380, 800), (240, 700), (110, 470), (190, 430), (290, 560)], glaze)
    draw.ellipse((310, 400, 890, 930), glaze)
    draw.ellipse((430, 380, 770, 480), shade)
    draw.ellipse((440, 350, 760, 450), glaze)
    draw.ellipse((555, 280, 645, 370), shade)
    draw.rounded_rectangle((450, 890, 750, 950), 20, shade)


class Sample(NamedTuple):
    """A drawing on a ground: its colours from top to bottom, its size from 0 to 1, roughness and blur in pixels."""

    kind: Callable[[Draw], None]
    top: Colour
    bottom: Colour
    size: float
    fur: int
    blur: int
    seed: int


SAMPLES = {
    "cat": Sample(cat, (118, 140, 160), (150, 130, 110), size=0.75, fur=30, blur=6, seed=2),
    "dog": Sample(dog, (110, 150, 90), (90, 120, 60), size=0.6, fur=60, blur=8, seed=5),
    "teapot": Sample(teapot, (226, 222, 212), (226, 222, 212), size=1, fur=10, blur=3, seed=0),
}


def drawn(sample: Sample) -> Image.Image:
    """The sample, RGB (SHOWN, SHOWN)."""
    ground, side = _ground(sample), int(SIZE * sample.size)
    layer = Image.new("RGBA", (SIZE, SIZE))
    sample.kind(ImageDraw.Draw(layer))
    layer = layer.resize((side, side))
    ground.paste(layer, ((SIZE - side) // 2, SIZE - side), layer)
    return _rough(ground, sample).filter(ImageFilter.GaussianBlur(sample.blur)).resize((SHOWN, SHOWN))


def _ground(sample: Sample) -> Image.Image:
    """From one colour to the other, with soft spots, as a blurred background has them."""
    down = np.linspace(0, 1, SIZE)[:, np.newaxis, np.newaxis]
    colours = (1 - down) * np.array(sample.top) + down * np.array(sample.bottom)
    noise = np.random.default_rng(sample.seed).integers(0, 256, (7, 7, 3), np.uint8)
    spots = np.asarray(Image.fromarray(noise).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return Image.fromarray((colours * 0.75 + spots * 0.25).astype(np.uint8))


def _rough(image: Image.Image, sample: Sample) -> Image.Image:
    """With short vertical streaks, like fur."""
    noise = np.random.default_rng(sample.seed).normal(0, sample.fur, (SIZE, SIZE, 1))
    streaks = sum(np.roll(noise, shift, 0) for shift in (0, 3, 6, 9))
    return Image.fromarray(np.clip(np.asarray(image, float) + 0.6 * streaks, 0, 255).astype(np.uint8))


def write(folder: Path) -> None:
    """Write every sample into the folder."""
    folder.mkdir(exist_ok=True)
    for name, sample in SAMPLES.items():
        drawn(sample).save(folder / f"{name}.jpg", quality=QUALITY)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
