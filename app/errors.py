"""The service's errors as one tree; errors of photos are in `catdog.errors`.

    ServiceError
    ├── TooLarge                 more bytes than are taken
    ├── TooSlow                  an upload that takes too long
    ├── UnsupportedContentType   neither a form nor an image
    ├── UnsupportedContentEncoding  a body compressed in a way that isn't decoded
    ├── ExpandsTooMuch           a compressed body that expands too far
    ├── MalformedUpload          a form or a compressed body that can't be read
    ├── NoFile                   no photo, or an empty one
    ├── TooManyFiles             more photos than are taken
    ├── TooManyFields            more parts of a form than are read
    ├── NoLabel                  pictures without the class that they are of
    ├── InvalidInference         not what an inference protocol says
    ├── ModelNotFound            an inference protocol's name of a model that isn't here
    ├── VersionNotLoaded         a version that can't be asked, because it isn't in memory
    ├── Unauthorized             a key is missing or wrong
    ├── MisdirectedRequest       sent to a name that isn't this service's
    ├── CrossOrigin              sent by a page of another site
    ├── TrainerMissing           jobs can't be run here
    ├── NotReady                 no champion can answer yet
    ├── NotExplainable           the champion can't say where it sees what it says
    ├── Overloaded               as much to do as can be taken
    ├── Expired                  a photo that had no answer in time
    └── ClientGone               nobody waits for the answer any more

As in `catdog.errors`, an error carries the facts, and knows no HTTP.
"""

MIB = 2**20
SHOWN_CHARACTERS = 50  # of what a client sent


class ServiceError(Exception):
    """The root: a request that can't be answered as it is."""


class TooLarge(ServiceError):
    """More bytes than are taken; reading stopped there."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"at most {limit_bytes:,} bytes ({limit_bytes / MIB:.3g} MiB) are taken; send less")


class TooSlow(ServiceError):
    """An upload that takes too long, or brings too few bytes; reading stopped there."""

    def __init__(self, limit_seconds: int, least_bytes_per_second: int) -> None:
        self.limit_seconds = limit_seconds
        self.least_bytes_per_second = least_bytes_per_second
        super().__init__(
            f"an upload may take {limit_seconds} seconds and must bring at least {least_bytes_per_second:,} bytes a"
            " second; send less, or over a faster connection"
        )


class UnsupportedContentType(ServiceError):
    """Neither a form nor an image."""

    def __init__(self, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(f"this content type is not taken; send {' or '.join(accepted)}")


class UnsupportedContentEncoding(ServiceError):
    """A body compressed in a way that isn't decoded; `accepted` are the ways that are."""

    def __init__(self, coding: str, accepted: tuple[str, ...]) -> None:
        self.coding = coding
        self.accepted = accepted
        super().__init__(
            f"the Content-Encoding {coding[:SHOWN_CHARACTERS]!r} is not supported; send {' or '.join(accepted)}, or"
            " the body uncompressed"
        )


class ExpandsTooMuch(ServiceError):
    """A compressed body that expands to more than `limit_ratio` times its size; decoding stopped there."""

    def __init__(self, limit_ratio: int) -> None:
        self.limit_ratio = limit_ratio
        super().__init__(f"the compressed body expands to more than {limit_ratio} times its size; send it uncompressed")


class MalformedUpload(ServiceError):
    """A form or a compressed body that can't be read."""

    def __init__(
        self, reason: str = "the form is malformed or cut short; send multipart/form-data as RFC 7578 describes it"
    ) -> None:
        self.reason = reason
        super().__init__(reason)


class NoFile(ServiceError):
    """No photo, or an empty one."""

    def __init__(self) -> None:
        super().__init__("there is no photo in it, or an empty one; send one in the form's field `file`")


class TooManyFiles(ServiceError):
    """More photos than are taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"at most {limit} at once are taken" if limit > 1 else "one photo is taken; send several as a batch"
        )


class TooManyFields(ServiceError):
    """More parts of a form, beside its files, than are read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the form has more than {limit} fields that are no files; send fewer")


class NoLabel(ServiceError):
    """Pictures without the class that they are of."""

    def __init__(self) -> None:
        super().__init__("the pictures have no class; send it in the form's field `label`, before or after them")


class InvalidInference(ServiceError):
    """Not what an inference protocol says, or of tensors that the model doesn't take."""


class ModelNotFound(ServiceError):
    """An inference protocol's name of a model that isn't here."""

    def __init__(self, name: str, known: str) -> None:
        self.name = name
        self.known = known
        super().__init__(f"there is no model {name[:SHOWN_CHARACTERS]!r}; there is {known}")


class VersionNotLoaded(ServiceError):
    """A version that can't be asked, because it isn't in memory; `loaded` are those that are."""

    def __init__(self, version: str, loaded: tuple[int, ...]) -> None:
        self.version = version
        self.loaded = loaded
        there = ", ".join(map(str, loaded)) or "none"
        super().__init__(
            f"version {version[:SHOWN_CHARACTERS]!r} isn't loaded; loaded are: {there};"
            " load it with POST /v2/repository/models/catdog/load?version=N"
        )


class Unauthorized(ServiceError):
    """A key is missing or wrong; `key` is the one that is needed."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"this needs the {key} key; send it as `Authorization: Bearer KEY`")


class MisdirectedRequest(ServiceError):
    """Sent to a name that isn't this service's: a page elsewhere may have pointed it here (DNS rebinding)."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"{host!r} is no name of this service; add it to CATDOG_ALLOWED_HOSTS if it should be")


class CrossOrigin(ServiceError):
    """Sent by a page of another site."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        super().__init__(
            f"pages of the origin {origin!r} may not use this service; if they may, add {origin} to CATDOG_CORS_ORIGINS"
        )


class TrainerMissing(ServiceError):
    """Jobs can't be run here."""

    def __init__(self) -> None:
        super().__init__(
            "what training needs isn't installed beside this service; run `make trainer`, or set CATDOG_WORKER=none"
            " and run `python -m training worker` where it is"
        )


class NotReady(ServiceError):
    """No champion can answer yet."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NotExplainable(ServiceError):
    """The champion can't say where in a photo it sees what it says."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(
            f"version {version} has the classic head, which can't say where it sees something; ask without `explain`,"
            " or train one with the pooled head"
        )


class Overloaded(ServiceError):
    """More photos wait, or more bodies are received, than may; there should be room in about `retry_seconds`."""

    def __init__(self, retry_seconds: int) -> None:
        self.retry_seconds = retry_seconds
        super().__init__("the service has as much to do as it can take; send this again later")


class Expired(ServiceError):
    """A photo that had no answer in time, and was dropped."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(f"there was no answer within {limit_seconds:g} seconds; send this again when less is going on")


class ClientGone(ServiceError):
    """Nobody waits for the answer any more."""

    def __init__(self) -> None:
        super().__init__("the client left before the answer")
