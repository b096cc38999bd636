"""What the service answers about its queue: its public contract."""

from app.schemas import Answer


class Quantiles(Answer):
    """Seconds that half of the photos took at most, and 99 of 100."""

    p50: float
    p99: float


class Recent(Answer):
    """The last photos; null for what none of them needed."""

    photos: int
    """How many these are: at most 1,000."""

    decode_seconds: Quantiles | None
    """From the file to pixels."""

    wait_seconds: Quantiles | None
    """For a decoder, and then for the engine."""

    infer_seconds: Quantiles | None
    """In the engine, with the rest of the batch."""

    batch_sizes: dict[str, int]
    """How many batches there were of each size."""


class QueueState(Answer):
    """The queue between requests and the engine."""

    depth: int
    """Photos that were admitted and have no answer yet."""

    limit: int
    """How many there may be; more are refused."""

    answered: int
    """Photos since the start."""

    cached: int
    """Of these, those that were known from before."""

    refused: int
    """Requests turned away since the start, because the queue was full."""

    expired: int
    """Photos that had no answer in time."""

    abandoned: int
    """Photos whose client left before the answer."""

    recent: Recent
