"""Everything that can go wrong, as one tree.

    CatdogError
    ├── ImageError               a photo that can't be used
    │   ├── UnsupportedImage       not an image, or in a format that is not taken
    │   ├── BrokenImage            truncated or corrupt
    │   └── TooManyPixels          larger than the limits
    ├── WeightsError             an .h5 file that doesn't hold the network's arrays
    ├── StoreError               the model store
    │   ├── VersionNotFound        no such version
    │   ├── NoChampion             no version is in service
    │   ├── NoEarlierChampion      nothing to roll back to
    │   ├── VersionInService       the champion can't be deleted
    │   └── BrokenVersion          files and manifest don't belong together
    ├── DatasetError             photos that can't be trained on
    ├── RecipeError              options of a training that contradict each other
    └── DownloadError            the public data set can't be had

An error carries the facts as attributes; its text says what was wrong, with what, and what to do.
Nothing here knows HTTP.
"""


class CatdogError(Exception):
    """The root: anything that catdog itself found wrong."""


class ImageError(CatdogError):
    """A photo that can't be used."""


class UnsupportedImage(ImageError):
    """Not an image, or in a format that is not taken.

    `format` is what the bytes look like, None where nothing recognises them.
    """

    def __init__(self, accepted: tuple[str, ...], format: str | None = None) -> None:
        self.accepted = accepted
        self.format = format
        found = f"{format} is not a format that is taken" if format else "the bytes are not an image"
        super().__init__(f"{found}; send one of {', '.join(accepted)}")


class BrokenImage(ImageError):
    """Truncated or corrupt: the header names a format, but the pixels can't be read."""

    def __init__(self, format: str, reason: str) -> None:
        self.format = format
        self.reason = reason
        super().__init__(f"the {format} is broken or cut short ({reason}); save or send it again")


class TooManyPixels(ImageError):
    """Larger than the limits, by its header; no pixel was decoded."""

    def __init__(self, width: int, height: int, limit_pixels: int, limit_side_pixels: int) -> None:
        self.width = width
        self.height = height
        self.limit_pixels = limit_pixels
        self.limit_side_pixels = limit_side_pixels
        super().__init__(
            f"the photo is {width} x {height} pixels; at most {limit_pixels / 1e6:g} megapixels"
            f" and {limit_side_pixels} pixels a side are taken; make it smaller"
        )


class WeightsError(CatdogError):
    """An .h5 file that doesn't hold exactly the network's arrays. `item` is the group or array at fault."""

    def __init__(self, file: str, problem: str, item: str | None = None) -> None:
        self.file = file
        self.problem = problem
        self.item = item
        super().__init__(f"{file}: {item}: {problem}" if item else f"{file}: {problem}")


class StoreError(CatdogError):
    """The model store can't do what was asked."""


class VersionNotFound(StoreError):
    """No such version; `versions` are those that there are."""

    def __init__(self, version: int, versions: tuple[int, ...]) -> None:
        self.version = version
        self.versions = versions
        there = ", ".join(map(str, versions)) or "none"
        super().__init__(f"there is no version {version}; the store holds: {there}")


class NoChampion(StoreError):
    """No version is in service."""

    def __init__(self) -> None:
        super().__init__("no version is in service; train one, or promote one with: python -m training promote N")


class NoEarlierChampion(StoreError):
    """Nothing to roll back to."""

    def __init__(self, champion: int) -> None:
        self.champion = champion
        super().__init__(f"version {champion} is the first champion; there is none to roll back to")


class VersionInService(StoreError):
    """The champion can't be deleted."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} is in service; promote another before deleting it")


class BrokenVersion(StoreError):
    """A version whose files and manifest don't belong together, or that this code can't serve."""

    def __init__(self, version: int, problem: str) -> None:
        self.version = version
        self.problem = problem
        super().__init__(f"version {version} can't be used: {problem}")


class DatasetError(CatdogError):
    """Photos that can't be trained on or evaluated."""


class RecipeError(CatdogError):
    """Options of a training that contradict each other."""


class DownloadError(CatdogError):
    """The public data set can't be had."""
