"""Reads from the database what a policy of retraining depends on.

New labels are counted from the rows of pictures and changes since the last training of their data set began, so a
restart loses none. A training reads the pictures after it began, and one transaction writes at a time: what was added
before is in it.
"""

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from catdog.datasets.rows import names
from catdog.jobs.job import REQUEST, Kind, Status
from catdog.policy.drift_record import DriftRecord
from catdog.policy.rules import Facts
from catdog.tables import changes, jobs, pictures


def dataset_of(connection: Connection, given: str | None, job: str | None) -> str | None:
    """The given data set, else that of the champion's `job`, else the only one; None if there are others."""
    if given is not None:
        return given
    there = names(connection)
    request = None if job is None else connection.scalar(select(jobs.c.request).where(jobs.c.id == job))
    if request is not None and request["dataset"] in there:
        return str(request["dataset"])
    return there[0] if len(there) == 1 else None


def read(connection: Connection, dataset: str, version: int) -> Facts:
    """The facts of a data set, and whether the photos have drifted from those of the `version` in service."""
    trainings = jobs.c.kind == Kind.TRAINING
    mine = and_(trainings, jobs.c.request["dataset"].as_string() == dataset)
    began = connection.scalar(select(func.max(func.coalesce(jobs.c.started_at, jobs.c.submitted_at))).where(mine))
    is_open = jobs.c.status.in_((Status.QUEUED, Status.RUNNING))
    last = select(func.max(jobs.c.submitted_at)).where(trainings, jobs.c.trigger != REQUEST)
    drift = DriftRecord.read(connection)
    return Facts(
        dataset,
        labels=_labels(connection, dataset, began or 0.0),
        changes=_changes(connection, dataset, began or 0.0),
        trained_at=began,
        open_job=connection.scalar(select(jobs.c.id).where(mine, is_open).order_by(jobs.c.number).limit(1)),
        automatic_at=connection.scalar(last),
        drift_since=None if drift is None or drift.version != version else drift.began_at,
    )


def _labels(connection: Connection, dataset: str, since: float) -> int:
    """Pictures added, relabelled, or moved here from other data sets."""
    added = select(func.count()).where(pictures.c.dataset == dataset, pictures.c.added_at > since)
    relabelled = and_(changes.c.kind == "label", changes.c.dataset == dataset)
    moved_here = and_(changes.c.kind == "dataset", changes.c.target == dataset)
    given = select(func.sum(changes.c.pictures)).where(or_(relabelled, moved_here), *_made_after(since))
    return (connection.scalar(added) or 0) + (connection.scalar(given) or 0)


def _changes(connection: Connection, dataset: str, since: float) -> int:
    touches = or_(changes.c.dataset == dataset, and_(changes.c.kind == "dataset", changes.c.target == dataset))
    return connection.scalar(select(func.count()).where(touches, *_made_after(since))) or 0


def _made_after(since: float) -> tuple[ColumnElement[bool], ...]:
    return changes.c.made_at > since, changes.c.undone_at.is_(None)
