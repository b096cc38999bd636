"""Response schemas of the queue."""

from pydantic import Field

from app.serving.prediction import Answer


class Quantiles(Answer):
    """Seconds that half of the photos took at most, and 99 of 100."""

    p50: float
    p99: float


class Recent(Answer):
    """The last photos; null for what none of them needed."""

    photos: int = Field(description="How many these are: at most 1,000.")
    decode_seconds: Quantiles | None = Field(description="From the file to pixels.")
    wait_seconds: Quantiles | None = Field(description="For a decoder, and then for the engine.")
    infer_seconds: Quantiles | None = Field(description="In the engine, with the rest of the batch.")
    batch_sizes: dict[str, int] = Field(description="How many batches there were of each size.")


class QueueState(Answer):
    """The queue between requests and the engine."""

    depth: int = Field(description="Photos that were admitted and have no answer yet.")
    limit: int = Field(description="How many there may be; more are refused.")
    answered: int = Field(description="Photos since the start.")
    cached: int = Field(description="Of these, those that were known from before.")
    refused: int = Field(description="Requests turned away since the start, because the queue was full.")
    expired: int = Field(description="Photos that had no answer in time.")
    abandoned: int = Field(description="Photos whose client left before the answer.")
    recent: Recent
