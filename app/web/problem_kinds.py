"""The kinds of problems, with status and title: the only place that maps errors to HTTP statuses."""

import errno
from http import HTTPStatus
from typing import NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import errors as service
from catdog import errors as domain
from catdog.access import errors as access
from catdog.datasets import errors as datasets
from catdog.jobs import errors as jobs

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Kind(NamedTuple):
    """One kind of problem; `name` is the last part of its type."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:catdog:problem:{self.name}"


# An error that isn't listed has the kind of its nearest listed base class.
KINDS: dict[type[Exception], Kind] = {
    service.Unauthorized: Kind("unauthorized", 401, "A key is needed"),
    service.Forbidden: Kind("forbidden", 403, "The role of the key isn't enough"),
    service.CrossOrigin: Kind("cross-origin", 403, "Pages of other sites may not do this"),
    access.InvalidKeyName: Kind("invalid-key-name", 422, "A key can't have this name"),
    access.KeyExists: Kind("key-exists", 409, "There is a valid key of this name"),
    access.KeyNotFound: Kind("key-not-found", 404, "There is no valid key of this name"),
    domain.VersionNotFound: Kind("version-not-found", 404, "There is no such version"),
    datasets.DatasetNotFound: Kind("dataset-not-found", 404, "There is no such data set"),
    datasets.PictureNotFound: Kind("picture-not-found", 404, "There is no such picture"),
    domain.PredictionNotFound: Kind("prediction-not-found", 404, "The photo of this prediction isn't kept"),
    domain.DeliveryNotFound: Kind("delivery-not-found", 404, "There is no such delivery"),
    domain.WebhookError: Kind("no-webhook", 409, "No webhook is set for this"),
    jobs.JobNotFound: Kind("job-not-found", 404, "There is no such job"),
    datasets.ChangeNotFound: Kind("change-not-found", 404, "There is no such change to undo"),
    datasets.DatasetExists: Kind("dataset-exists", 409, "There is a data set of this name"),
    datasets.DatasetInUse: Kind("dataset-in-use", 409, "A training needs the data set"),
    domain.NoTrial: Kind("no-trial", 404, "No version is on trial"),
    domain.NoCanary: Kind("no-canary", 404, "No version is a canary"),
    domain.CanaryExists: Kind("canary-exists", 409, "Another version is the canary"),
    domain.OtherClasses: Kind("other-classes", 409, "The version has other classes than the champion"),
    domain.VersionInService: Kind("version-in-service", 409, "The version is in service"),
    domain.ShippedVersion: Kind("shipped-version", 409, "The shipped version can't be deleted"),
    domain.BrokenVersion: Kind("broken-version", 409, "The version can't be used"),
    domain.NoEarlierChampion: Kind("no-earlier-champion", 409, "There is nothing to roll back to"),
    domain.ChampionChanged: Kind("champion-changed", 409, "Another version was promoted in the meantime"),
    domain.StoreError: Kind("model-store", 409, "The model store can't do this"),
    jobs.JobEnded: Kind("job-ended", 409, "The job has ended"),
    jobs.NoResult: Kind("no-result", 409, "The job has no result"),
    service.NotExplainable: Kind("not-explainable", 409, "The version can't explain its answers"),
    service.InvalidInference: Kind("invalid-inference", 400, "The request violates the protocol"),
    service.ModelNotFound: Kind("model-not-found", 404, "There is no such model"),
    service.VersionNotLoaded: Kind("version-not-loaded", 404, "The version isn't loaded"),
    service.TooLarge: Kind("too-large", 413, "The upload is too large"),
    service.TooSlow: Kind("too-slow", 408, "The upload takes too long"),
    service.MisdirectedRequest: Kind("misdirected-request", 421, "The request is for another host"),
    service.UnsupportedContentType: Kind("unsupported-content-type", 415, "The content type is not supported"),
    service.UnsupportedContentEncoding: Kind("unsupported-content-encoding", 415, "The compression is not supported"),
    service.ExpandsTooMuch: Kind("expands-too-much", 413, "The compressed body expands too far"),
    domain.UnsupportedImage: Kind("unsupported-image", 415, "The image format is not supported"),
    domain.BrokenImage: Kind("broken-image", 422, "The image is broken"),
    domain.TooManyPixels: Kind("too-many-pixels", 422, "The image has too many pixels"),
    service.MalformedUpload: Kind("malformed-upload", 422, "The upload can't be read"),
    service.NoFile: Kind("no-file", 422, "There is no photo in the request"),
    service.TooManyFiles: Kind("too-many-files", 422, "There are too many photos in the request"),
    service.TooManyFields: Kind("too-many-fields", 422, "The form has too many fields"),
    service.NoLabel: Kind("no-label", 422, "The pictures have no class"),
    domain.ArchiveError: Kind("archive-refused", 422, "The archive is refused"),
    domain.DatasetError: Kind("unusable-dataset", 422, "The data set can't be used for this"),
    domain.UnknownLabel: Kind("unknown-label", 422, "The model doesn't have this class"),
    jobs.KeyReused: Kind("key-reused", 422, "The idempotency key was used for another request"),
    RequestValidationError: Kind("invalid-request", 422, "The request is invalid"),
    jobs.QueueFull: Kind("queue-full", 429, "The job queue is full"),
    service.LimitReached: Kind("limit-reached", 429, "The limit of the key or address is reached"),
    service.ClientGone: Kind("client-gone", 499, "The client disconnected"),  # nginx's code; no client sees it
    service.Overloaded: Kind("overloaded", 503, "The service is overloaded"),
    service.Expired: Kind("expired", 503, "There was no answer in time"),
    service.NotReady: Kind("not-ready", 503, "The service can't answer now"),
    domain.NoChampion: Kind("no-champion", 503, "No version is in service"),
    service.LabelStudioMissing: Kind("label-studio-missing", 404, "No Label Studio is connected"),
    service.UnsuitableConfiguration: Kind("unsuitable-configuration", 422, "The project chooses no class for pictures"),
    service.PictureUnavailable: Kind("picture-unavailable", 502, "Label Studio didn't give the picture"),
    service.TrainerMissing: Kind("trainer-missing", 503, "Training isn't possible here"),
    domain.DatabaseUnavailable: Kind("database-unavailable", 503, "The database doesn't answer"),
    domain.StoreUnavailable: Kind("store-unavailable", 503, "The object store doesn't answer"),
    OSError: Kind("insufficient-storage", 507, "The disk is full"),  # any other OSError is unexpected
}
EVERYWHERE = (service.Forbidden, service.CrossOrigin, service.MisdirectedRequest, service.LimitReached)
UNEXPECTED = Kind("internal-error", 500, "Internal error in the service")


def of_status(status: int) -> Kind:
    """The kind named after an HTTP status."""
    phrase = HTTPStatus(status).phrase
    return Kind(phrase.lower().replace(" ", "-"), status, phrase)


def kind_of_error(error: Exception) -> Kind:
    """The kind of a raised error, by its type, status or error number."""
    if isinstance(error, HTTPException):  # from the router: an unknown address or method
        return of_status(error.status_code)
    if isinstance(error, OSError) and error.errno not in DISK_FULL:
        return UNEXPECTED
    return kind_of(type(error))


def kind_of(error: type[Exception]) -> Kind:
    """The kind of the nearest listed base class, else UNEXPECTED."""
    return next((KINDS[kind] for kind in error.__mro__ if kind in KINDS), UNEXPECTED)
