"""All errors of the shared package, as one tree.

    CatdogError
    ├── ImageError               a photo that can't be used
    │   ├── UnsupportedImage       not an image, or in an unsupported format
    │   ├── BrokenImage            truncated or corrupt
    │   └── TooManyPixels          larger than the limits
    ├── FileLeftOut              a file in a folder that is not a photo of a class, or can't be opened
    ├── WeightsError             an .h5 file that doesn't hold the network's arrays
    ├── StoreError               the model store
    │   ├── VersionNotFound        no such version
    │   ├── NoChampion             no version is in service
    │   ├── NoEarlierChampion      nothing to roll back to
    │   ├── ChampionChanged        another version came into service since the measurement
    │   ├── NoTrial                no candidate runs next to the champion
    │   ├── NoCanary               no candidate answers a share of the clients
    │   ├── CanaryExists           another candidate does so already
    │   ├── OtherClasses           a candidate with other classes than the champion's
    │   ├── VersionInService       the champion can't be deleted or unloaded
    │   ├── ShippedVersion         the version shipped with catdog can't be deleted
    │   └── BrokenVersion          files and manifest don't match
    ├── DatasetError             photos that can't be trained on
    │   ├── UnclearFolders         folders that don't show the class of each picture
    │   └── ...                    those of `catdog.datasets.errors`
    ├── ArchiveError             a ZIP that is refused as a whole
    ├── PredictionNotFound       a prediction that isn't stored, or no longer
    ├── UnknownLabel             feedback with a class that the model doesn't have
    ├── WebhookError             events sent to URLs
    │   ├── NoWebhook              no URL is set
    │   ├── DeliveryNotFound       no such delivery
    │   └── UrlNotSet              a delivery to a URL that isn't set any more
    ├── AccessError              keys: `catdog.access.errors`
    ├── JobError                 jobs and their queue: `catdog.jobs.errors`
    ├── DatabaseUnavailable      the database doesn't answer
    ├── StoreUnavailable         the object store doesn't answer
    ├── RecipeError              training options that contradict each other
    └── DownloadError            published photos or weights can't be downloaded

An error has the facts as attributes; its text says what was wrong, with what, and what to do.
Nothing here knows HTTP.
"""

from catdog.faults import shown


class CatdogError(Exception):
    """The base class of all errors that catdog itself raises."""


def _at(problem: str, place: str | None, hint: str) -> str:
    """The problem, its place and a hint; bytes of a path that aren't UTF-8 (lone surrogates) are shown escaped."""
    named = "" if place is None else ": " + repr(place).replace("\\udc", "\\x")
    return problem + named + (f"; {hint}" if hint else "")


class ImageError(CatdogError):
    """A photo that can't be used."""


class UnsupportedImage(ImageError):
    """Not an image, or in an unsupported format: `format`, or None if the bytes show none."""

    def __init__(self, accepted: tuple[str, ...], format: str | None = None) -> None:
        self.accepted = accepted
        self.format = format
        found = f"{format} is not a supported format" if format else "the bytes are not an image"
        super().__init__(f"{found}; send one of {', '.join(accepted)}")


class BrokenImage(ImageError):
    """Truncated or corrupt: the header names a format, but the pixels can't be read."""

    def __init__(self, format: str, reason: str) -> None:
        self.format = format
        self.reason = reason
        super().__init__(f"the {format} is broken or truncated ({reason}); save or send it again")


class TooManyPixels(ImageError):
    """Larger than the limits according to its header; no pixel was decoded."""

    def __init__(self, width: int, height: int, limit_pixels: int, limit_side_pixels: int) -> None:
        self.width = width
        self.height = height
        self.limit_pixels = limit_pixels
        self.limit_side_pixels = limit_side_pixels
        super().__init__(
            f"the photo is {width} x {height} pixels, more than the limits of {limit_pixels / 1e6:g} megapixels"
            f" and {limit_side_pixels} pixels a side; make it smaller"
        )


class FileLeftOut(CatdogError):
    """A file in a folder that is not a photo of a class, or can't be opened; the text says why."""


class WeightsError(CatdogError):
    """An .h5 file that doesn't hold exactly the network's arrays. `item` is the group or array at fault."""

    def __init__(self, file: str, problem: str, item: str | None = None) -> None:
        self.file = file
        self.problem = problem
        self.item = item
        super().__init__(f"{file}: {item}: {problem}" if item else f"{file}: {problem}")


class StoreError(CatdogError):
    """The model store can't do what was requested."""


class VersionNotFound(StoreError):
    """No such version; `versions` are the existing ones."""

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
        super().__init__(f"version {champion} is the first champion; there is no earlier one to roll back to")


class ChampionChanged(StoreError):
    """Another version came into service after the candidate was measured."""

    def __init__(self, expected: int, champion: int | None) -> None:
        self.expected = expected
        self.champion = champion
        now = f"version {champion} is" if champion else "none is"
        super().__init__(f"it was measured against version {expected}, but {now} in service now")


class NoTrial(StoreError):
    """No candidate runs next to the champion."""

    def __init__(self) -> None:
        super().__init__('no version is on trial; a training with "promote": "shadow" begins a trial')


class NoCanary(StoreError):
    """No candidate answers a share of the clients."""

    def __init__(self) -> None:
        super().__init__("no version is a canary; POST /models/N/canary begins one")


class CanaryExists(StoreError):
    """Another candidate answers a share of the clients already."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} is the canary already; end that one first: DELETE /canary")


class OtherClasses(StoreError):
    """A candidate whose classes aren't the champion's: clients would get answers that they don't know."""

    def __init__(self, version: int, champion: int) -> None:
        self.version = version
        self.champion = champion
        super().__init__(f"version {version} has other classes than version {champion}; promote it instead")


class VersionInService(StoreError):
    """The champion can be neither deleted nor unloaded."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} is in service; promote another version first")


class ShippedVersion(StoreError):
    """The version shipped with catdog can't be deleted: it is the last resort of a rollback."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} was shipped with catdog and can't be deleted")


class BrokenVersion(StoreError):
    """A version whose files don't match its manifest, or that this code can't serve."""

    def __init__(self, version: int, problem: str) -> None:
        self.version = version
        self.problem = problem
        super().__init__(f"version {version} can't be used: {problem}")


class DatasetError(CatdogError):
    """Photos that can't be trained on or evaluated."""


class UnclearFolders(DatasetError):
    """Folders from which the class of each picture can't be derived; `place` is the path that is at fault.

    `seen` describes the folders as they are, `wanted` as they should be.
    """

    def __init__(self, problem: str, place: str | None = None, seen: str = "", wanted: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = f"seen: {seen}; wanted: {wanted}" if wanted else ""
        super().__init__(_at(problem, place, self.hint))


class ArchiveError(CatdogError):
    """A ZIP that is refused as a whole; `member` is the name in it that is at fault, if it is one; `hint` is advice."""

    def __init__(self, problem: str, member: str | None = None, hint: str = "") -> None:
        self.problem = problem
        self.member = member
        super().__init__(f"the archive is refused: {_at(problem, member, hint)}")


class PredictionNotFound(CatdogError):
    """A prediction whose photo isn't stored, or no longer."""

    def __init__(self, prediction_id: str) -> None:
        self.prediction_id = prediction_id
        super().__init__(
            f"the photo of prediction {shown(prediction_id)} isn't stored; CATDOG_KEEP_UPLOADS sets how many of the"
            " newest are"
        )


class UnknownLabel(CatdogError):
    """Feedback with a class that the model doesn't have."""

    def __init__(self, label: str, classes: tuple[str, ...]) -> None:
        self.label = label
        self.classes = classes
        super().__init__(
            f"the model has no class {shown(label)!r}; it has: {', '.join(classes)};"
            " to add a class, upload pictures of it: POST /datasets/NAME/images"
        )


class DatabaseUnavailable(CatdogError):
    """The database doesn't answer; `reason` may name its address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the database doesn't answer; the log says why")


class RecipeError(CatdogError):
    """Training options that contradict each other."""


class DownloadError(CatdogError):
    """Published photos or weights can't be downloaded."""


class WebhookError(CatdogError):
    """A webhook can't do what was requested."""


class NoWebhook(WebhookError):
    """No URL is set."""

    def __init__(self) -> None:
        super().__init__("no webhook is set; CATDOG_WEBHOOK_URLS names the URLs that events are sent to")


class DeliveryNotFound(WebhookError):
    """No such delivery, or it was deleted."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"there is no delivery {number}; GET /webhooks lists the newest")


class UrlNotSet(WebhookError):
    """A delivery to a URL that isn't set any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"the URL of delivery {number} is no longer in CATDOG_WEBHOOK_URLS; add it to send it again")


class StoreUnavailable(CatdogError):
    """The object store of versions or pictures doesn't answer; `reason` may name its address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the object store doesn't answer; the log says why")
