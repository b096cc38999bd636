"""The service's errors as one tree; errors of photos are in `catdog.errors`.

    ServiceError
    ├── TooLarge                 an upload over the size limit
    ├── TooSlow                  an upload that takes too long
    ├── UnsupportedContentType   neither a form nor an image
    ├── UnsupportedContentEncoding  a body in a compression that isn't supported
    ├── ExpandsTooMuch           a compressed body that expands too far
    ├── MalformedUpload          a form or a compressed body that can't be read
    ├── NoFile                   no photo, or an empty one
    ├── TooManyFiles             more photos than allowed
    ├── TooManyFields            more form fields than allowed
    ├── NoLabel                  pictures without their class
    ├── InvalidInference         a request that violates an inference protocol
    ├── ModelNotFound            an unknown model name in an inference protocol
    ├── VersionNotLoaded         a version that isn't in memory
    ├── Unauthorized             a key is missing or wrong
    ├── Forbidden                a key whose role isn't enough
    ├── MisdirectedRequest       sent to a host name that isn't this service's
    ├── CrossOrigin              sent by a page of another site
    ├── TrainerMissing           the trainer isn't installed here
    ├── LabelStudioMissing       the settings name no Label Studio
    ├── UnsuitableConfiguration  a Label Studio project that chooses no class for pictures
    ├── PictureUnavailable       a picture that can't be fetched from Label Studio
    ├── NotReady                 no model can answer yet
    ├── NotExplainable           the champion has no class activation maps
    ├── LimitReached             a client has reached its limit
    ├── Overloaded               a limit of the service is reached
    ├── Expired                  a photo that wasn't answered in time
    └── ClientGone               the client disconnected before the answer

As in `catdog.errors`, errors carry facts and are independent of HTTP.
"""

MIB = 2**20
SHOWN_CHARACTERS = 50  # of what a client sent


class ServiceError(Exception):
    """The root: a request that can't be answered as it was sent."""


class TooLarge(ServiceError):
    """An upload of more than `limit_bytes`; reading stopped there."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"the upload exceeds the limit of {limit_bytes:,} bytes ({limit_bytes / MIB:.3g} MiB); send less"
        )


class TooSlow(ServiceError):
    """An upload that takes too long or is too slow; reading stopped there."""

    def __init__(self, limit_seconds: int, least_bytes_per_second: int) -> None:
        self.limit_seconds = limit_seconds
        self.least_bytes_per_second = least_bytes_per_second
        super().__init__(
            f"an upload may take {limit_seconds} seconds and must send at least {least_bytes_per_second:,} bytes a"
            " second; send less, or over a faster connection"
        )


class UnsupportedContentType(ServiceError):
    """Neither a form nor an image."""

    def __init__(self, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(f"this content type is not supported; send {' or '.join(accepted)}")


class UnsupportedContentEncoding(ServiceError):
    """A body in a compression that isn't supported; `accepted` are the supported ones."""

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
        super().__init__("the request has no photo, or an empty one; send one in the form field `file`")


class TooManyFiles(ServiceError):
    """More photos in one request than allowed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"the request has more than {limit} photos; send fewer at a time"
            if limit > 1
            else "the request has more than one file; send several photos as a batch"
        )


class TooManyFields(ServiceError):
    """More form fields, not counting files, than allowed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the form has more than {limit} fields that aren't files; send fewer")


class NoLabel(ServiceError):
    """Pictures without their class."""

    def __init__(self) -> None:
        super().__init__("the pictures have no class; send it in the form field `label`, before or after them")


class InvalidInference(ServiceError):
    """A request that violates an inference protocol, or has tensors that don't fit the model."""


class ModelNotFound(ServiceError):
    """An unknown model name in an inference protocol."""

    def __init__(self, name: str, known: str) -> None:
        self.name = name
        self.known = known
        super().__init__(f"there is no model {name[:SHOWN_CHARACTERS]!r}; the only model is {known}")


class VersionNotLoaded(ServiceError):
    """A version that isn't in memory; `loaded` are the versions that are."""

    def __init__(self, version: str, loaded: tuple[int, ...]) -> None:
        self.version = version
        self.loaded = loaded
        there = ", ".join(map(str, loaded)) or "none"
        super().__init__(
            f"version {version[:SHOWN_CHARACTERS]!r} isn't loaded; loaded versions: {there};"
            " load it with POST /v2/repository/models/catdog/load?version=N"
        )


class Unauthorized(ServiceError):
    """A key is missing or can't be used; `role` is the required one, `fault` what is wrong with the key if known."""

    def __init__(self, role: str, fault: str = "") -> None:
        self.role = role
        keys = "the predict key or a named one" if role == "predict" else f"the admin key or one with the role {role}"
        super().__init__(f"{fault and f'{fault}; '}this needs {keys}; send it as `Authorization: Bearer KEY`")


class Forbidden(ServiceError):
    """A key, or a user whom a proxy has signed in, whose role isn't enough."""

    def __init__(self, who: str, role: str, needed: str) -> None:
        self.role = role
        self.needed = needed
        super().__init__(f"{who} has the role {role}, and this needs the role {needed}; use another key")


class MisdirectedRequest(ServiceError):
    """Sent to a host name that isn't this service's: another site may have pointed it here (DNS rebinding)."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"{host!r} is not a host name of this service; to allow it, add it to CATDOG_ALLOWED_HOSTS")


class CrossOrigin(ServiceError):
    """Sent by a page of another site."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        super().__init__(
            f"pages of the origin {origin!r} may not use this service; to allow it, add {origin} to CATDOG_CORS_ORIGINS"
        )


class TrainerMissing(ServiceError):
    """The trainer isn't installed here, so that jobs can't run."""

    def __init__(self) -> None:
        super().__init__(
            "the trainer isn't installed here; run `make trainer`, or set CATDOG_WORKER=none and run"
            " `python -m training worker` where it is installed"
        )


class NotReady(ServiceError):
    """No model can answer yet."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NotExplainable(ServiceError):
    """The champion has no class activation maps."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(
            f"version {version} has the classic head, which has no class activation map; leave out `explain`,"
            " or train a version with the pooled head"
        )


class LimitReached(ServiceError):
    """A client that has reached its limit, such as "10 requests in 2 seconds"; it may retry after `retry_seconds`."""

    def __init__(self, limit: str, retry_seconds: int) -> None:
        self.limit = limit
        self.retry_seconds = retry_seconds
        super().__init__(f"the limit of this key or address is reached ({limit}); retry in {retry_seconds:,} seconds")


class Overloaded(ServiceError):
    """A limit of photos, bodies or streams is reached; there should be room in about `retry_seconds`."""

    def __init__(self, retry_seconds: int) -> None:
        self.retry_seconds = retry_seconds
        super().__init__("the service is overloaded; retry later")


class Expired(ServiceError):
    """A photo that wasn't answered in time, and was dropped."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(f"there was no answer within {limit_seconds:g} seconds; retry when the service is less busy")


class ClientGone(ServiceError):
    """The client disconnected before the answer."""

    def __init__(self) -> None:
        super().__init__("the client disconnected before the answer")


class LabelStudioMissing(ServiceError):
    """The settings name no Label Studio."""

    def __init__(self) -> None:
        super().__init__("this service isn't connected to a Label Studio; set CATDOG_LABEL_STUDIO_URL to its address")


class UnsuitableConfiguration(ServiceError):
    """The configuration of a Label Studio project doesn't choose a class for a picture."""

    def __init__(self) -> None:
        super().__init__(
            "the labelling configuration needs Choices whose toName is an Image with a value such as $image"
        )


class PictureUnavailable(ServiceError):
    """A picture or the annotations that can't be fetched from Label Studio."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address[:SHOWN_CHARACTERS]!r} can't be fetched: {reason}")
