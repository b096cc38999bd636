"""Endpoints for the pictures of a data set: listing, thumbnails, changes to many at once, undo."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from app.api.dependencies import PICTURE_HEADERS, DatasetsDep, JobsDep, Name, OpinionsDep, Sha256, json_body
from app.api.jobs.job_schemas import NO_NUL
from app.api.picture_schemas import (
    LARGEST_ID,
    ChangeRequest,
    ListedPicture,
    Looked,
    MadeChange,
    MadeChanges,
    Opinion,
    PictureIds,
    PictureList,
)
from app.errors import Expired, NotReady, Overloaded, Unauthorized, UnsupportedContentType
from app.retraining.jobs import JobService
from app.retraining.opinions import Kind
from app.retraining.opinions import Opinion as Said
from app.web import uploads
from app.web.auth import labeller
from app.web.problem_details import documented
from catdog.datasets.errors import ChangeNotFound, DatasetNotFound, PictureNotFound
from catdog.datasets.picture_files import Filter
from catdog.errors import BrokenImage, DatabaseUnavailable, DatasetError, StoreUnavailable, UnsupportedImage

ANY = (Unauthorized, RequestValidationError, DatabaseUnavailable, StoreUnavailable, OSError)
LIST_ERRORS = (*ANY, DatasetNotFound, PictureNotFound, NotReady, Overloaded, Expired, BrokenImage, UnsupportedImage)
MOST_LISTED = 500
DIGITS = "[0-9a-f]{64}"
SHA256 = f"^{DIGITS}$"
CHANGE_BYTES = 2 * 1024 * 1024  # the numbers of 200,000 pictures

router = APIRouter(tags=["datasets"], dependencies=[Depends(labeller)])

Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
AskedIds = Annotated[str, Query(pattern=r"^\d{1,10}(,\d{1,10})*$", description="Numbers, separated by commas.")]


@dataclass(frozen=True)
class Conditions:
    """What the pictures of a request must fit, from its query."""

    label: Annotated[str | None, Query(pattern=NO_NUL, description="Only this class.")] = None
    split: Annotated[Literal["train", "validation", "test"] | None, Query(description="Only this split.")] = None
    finding: Annotated[
        str | None, Query(pattern="^[a-z-]+$", description="What the last check found, such as `likely-mislabel`.")
    ] = None
    opinion: Annotated[
        Kind | None,
        Query(
            description="What the version in service says: `disagrees` with the class, `unsure` (a probability below"
            " 0.9), or `unknown`; only of pictures that it has looked at."
        ),
    ] = None
    like: Annotated[
        str | None, Query(pattern=SHA256, description="Pictures that look like this one, the most similar first.")
    ] = None
    sha256: Annotated[str | None, Query(pattern=f"^{DIGITS}(,{DIGITS})*$", description="These contents.")] = None


async def wanted(
    name: Name, retraining: JobsDep, opinions: OpinionsDep, given: Annotated[Conditions, Depends()]
) -> Filter:
    """Which pictures of the data set a request is about: the ones that match every argument."""
    orders: list[list[str]] = []
    if given.like is not None:
        orders.append(await opinions.like(name, given.like))
    if given.opinion is not None:
        orders.append(await opinions.that(name, given.opinion))
    if given.finding is not None:
        orders.append(await _found(retraining, name, given.finding))
    if given.sha256 is not None:
        orders.append(given.sha256.split(","))
    return Filter(given.label, given.split, _in_all(orders) if orders else None)


def _in_all(orders: list[list[str]]) -> list[str]:
    """The contents that are in all lists, in the order of the first."""
    first, *others = orders
    rest = [set(other) for other in others]
    return [content for content in dict.fromkeys(first) if all(content in other for other in rest)]


async def _found(retraining: JobService, dataset: str, kind: str) -> list[str]:
    """The sha256 of the photos of a finding of the last check, the worst first."""
    findings = await retraining.ask(lambda jobs: jobs.history.newest_findings(dataset))
    return [photo["sha256"] for found in findings if found["kind"] == kind for photo in found["photos"]]


Wanted = Annotated[Filter, Depends(wanted)]


@dataclass(frozen=True)
class Page:
    """Which part of a list a request is about, and what it shows, from its query."""

    after: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next` of the page before.")] = None
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100
    ids: AskedIds | None = None
    opinions: Annotated[bool, Query(description="With what the version in service says of each.")] = False


@router.get("/datasets/{name}/pictures", responses=documented(*LIST_ERRORS))
async def pictures(
    name: Name,
    collecting: DatasetsDep,
    judging: OpinionsDep,
    wanted: Wanted,
    page: Annotated[Page, Depends()],
) -> PictureList:
    """The pictures of a data set, page by page, the newest first; with `ids` these pictures instead."""
    following = None
    if page.ids is None:
        found, following = await collecting.ask(
            lambda datasets: datasets.listing.page(name, wanted, page.after, page.limit)
        )
    else:
        asked = [int(number) for number in page.ids.split(",")][:MOST_LISTED]
        found = await collecting.ask(lambda datasets: datasets.listing.of_ids(name, asked))
    said = await judging.of([one.sha256 for one in found]) if page.opinions else {}
    listed = [_with_opinion(ListedPicture.of(one), said.get(one.sha256)) for one in found]
    return PictureList(pictures=listed, next=following)


def _with_opinion(picture: ListedPicture, said: Said | None) -> ListedPicture:
    return picture if said is None else picture.model_copy(update={"opinion": Opinion(**said._asdict())})


@router.post("/datasets/{name}/looks", responses=documented(*ANY, DatasetNotFound, NotReady, Overloaded, Expired))
async def look(name: Name, opinions: OpinionsDep) -> Looked:
    """Let the version in service look at some pictures that it hasn't seen, for its opinion and for similar pictures.

    A training does this too, for all pictures of its data set.
    """
    return Looked(**(await opinions.look(name))._asdict())


@router.get("/datasets/{name}/pictures/ids", responses=documented(*LIST_ERRORS))
async def ids(
    name: Name, collecting: DatasetsDep, judging: OpinionsDep, wanted: Wanted, later: BackgroundTasks
) -> PictureIds:
    """The numbers of all these pictures in order: some bytes each, for a view that jumps to any place."""
    later.add_task(judging.prepare)  # the next list may be one by opinion
    return PictureIds(ids=await collecting.ask(lambda datasets: datasets.listing.ids(name, wanted)))


@router.get(
    "/datasets/{name}/images/{sha256}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}},
        **documented(*ANY, PictureNotFound, BrokenImage, UnsupportedImage),
    },
)
async def thumbnail(name: Name, sha256: Sha256, collecting: DatasetsDep) -> Response:
    """A small JPEG of a picture, whose longer side has 200 pixels."""
    return Response(await collecting.thumbnail(name, sha256), media_type="image/jpeg", headers=PICTURE_HEADERS)


@router.post(
    "/datasets/{name}/changes",
    status_code=201,
    responses=documented(*ANY, *uploads.ERRORS, UnsupportedContentType, DatasetNotFound, DatasetError),
    openapi_extra=json_body(ChangeRequest),
)
async def change(name: Name, request: Request, collecting: DatasetsDep) -> MadeChange:
    """Relabel, move or delete pictures. It can be undone for `CATDOG_KEEP_DELETED_DAYS` days.

    A picture that would be there twice after it is there once. Numbers that the data set doesn't have are ignored.
    """
    asked = await uploads.read_json(request, ChangeRequest, CHANGE_BYTES)
    made = await collecting.ask(lambda datasets: datasets.changes.make(name, asked.kind, asked.target, asked.ids))
    return MadeChange.of(made)


@router.get("/changes", responses=documented(*ANY))
async def changes(collecting: DatasetsDep, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> MadeChanges:
    """The changes that can be undone, the newest first."""
    found = await collecting.ask(lambda datasets: datasets.changes.newest(limit))
    return MadeChanges(changes=[MadeChange.of(one) for one in found])


@router.post("/changes/{change}/undo", responses=documented(*ANY, ChangeNotFound))
async def undo(change: Id, collecting: DatasetsDep) -> MadeChange:
    """Restore the pictures as they were before a change."""
    return MadeChange.of(await collecting.ask(lambda datasets: datasets.changes.undo(change)))
