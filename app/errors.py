"""What can be wrong with a request, beside the photo itself, as one tree.

    ServiceError
    ├── TooLarge                 more bytes than are taken
    ├── TooSlow                  an upload that takes too long
    ├── UnsupportedContentType   neither a form nor an image
    ├── MalformedUpload          a form that can't be read
    ├── NoFile                   no photo, or an empty one
    ├── TooManyFiles             more photos than are taken
    └── NotReady                 no champion can answer yet

As in `catdog.errors`, an error carries the facts, and knows no HTTP.
"""

MIB = 2**20


class ServiceError(Exception):
    """The root: a request that can't be answered as it is."""


class TooLarge(ServiceError):
    """More bytes than are taken; reading stopped there."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"at most {limit_bytes:,} bytes ({limit_bytes / MIB:.3g} MiB) are taken; send less")


class TooSlow(ServiceError):
    """An upload that takes too long; reading stopped there."""

    def __init__(self, limit_seconds: int) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(f"an upload may take {limit_seconds} seconds; send less, or over a faster connection")


class UnsupportedContentType(ServiceError):
    """Neither a form nor an image."""

    def __init__(self, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(f"this content type is not taken; send {' or '.join(accepted)}")


class MalformedUpload(ServiceError):
    """A form that can't be read."""

    def __init__(self) -> None:
        super().__init__("the form is malformed or cut short; send multipart/form-data as RFC 7578 describes it")


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


class NotReady(ServiceError):
    """No champion can answer yet."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
