"""Random crops, flips and colour changes of training photos."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Range = tuple[float, float]

LUMA = np.array([0.299, 0.587, 0.114])  # of R, G and B: ITU-R BT.601
GREY = np.tile(LUMA, (3, 1))
MID_GREY = 128.0


@dataclass(frozen=True)
class Augmentation:
    """How much a photo may be changed; values are drawn uniformly from each range, each chance is a probability.

    The crop follows Szegedy et al., "Going Deeper with Convolutions" (2015); the erased rectangle Zhong et al.,
    "Random Erasing Data Augmentation" (2017).
    """

    area: Range = (0.35, 1.0)  # of the photo that the crop keeps
    aspect: Range = (0.7, 1.43)  # width / height of the crop, relative to the photo's; log-uniform
    contrast: Range = (0.7, 1.3)
    brightness: Range = (-40.0, 40.0)  # added to 0-255
    saturation: Range = (0.4, 1.4)
    grey_chance: float = 0.05
    coarse_chance: float = 0.15  # of reducing the resolution, like a small or badly compressed photo
    coarse: Range = (0.35, 0.9)  # remaining share of height and width
    erase_chance: float = 0.2
    erase_area: Range = (0.02, 0.15)

    def apply(self, photo: NDArray[np.uint8], pixels: int, random: np.random.Generator) -> NDArray[np.uint8]:
        """A random variant, uint8 RGB (pixels, pixels, 3), of a photo, uint8 RGB (height, width, 3)."""
        image = Image.fromarray(photo).resize(
            self._resolution(pixels, random), Image.Resampling.BILINEAR, self._crop(photo, random)
        )
        if image.width < pixels:
            image = image.resize((pixels, pixels), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        varied = np.array(image.convert("RGB", self._colour(random)))
        if random.random() < self.erase_chance:
            self._erase(varied, random)
        return varied

    def _crop(self, photo: NDArray[np.uint8], random: np.random.Generator) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, in pixels of the photo."""
        height, width = photo.shape[:2]
        area = random.uniform(*self.area)
        stretch = np.exp(random.uniform(*np.log(self.aspect)) / 2)
        across = min(1.0, area**0.5 * stretch) * width
        down = min(1.0, area**0.5 / stretch) * height
        left, top = random.uniform(0, width - across), random.uniform(0, height - down)
        return left, top, left + across, top + down

    def _resolution(self, pixels: int, random: np.random.Generator) -> tuple[int, int]:
        share = random.uniform(*self.coarse) if random.random() < self.coarse_chance else 1.0
        side = max(1, round(pixels * share))
        return side, side

    def _colour(self, random: np.random.Generator) -> tuple[float, ...]:
        """Contrast, brightness and saturation as one affine map of RGB: three rows of four numbers."""
        saturation = 0.0 if random.random() < self.grey_chance else random.uniform(*self.saturation)
        contrast = random.uniform(*self.contrast)
        offset = MID_GREY * (1 - contrast) + random.uniform(*self.brightness)
        rows = contrast * (saturation * np.eye(3) + (1 - saturation) * GREY)
        return tuple(np.column_stack([rows, np.full(3, offset)]).ravel())

    def _erase(self, photo: NDArray[np.uint8], random: np.random.Generator) -> None:
        """Fill a rectangle of the photo with one random colour, in place."""
        side = len(photo)
        down, across = (max(1, round(side * random.uniform(*self.erase_area) ** 0.5)) for _ in range(2))
        top, left = random.integers(0, side - down + 1), random.integers(0, side - across + 1)
        photo[top : top + down, left : left + across] = random.integers(0, 256, 3)
