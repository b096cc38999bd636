"""Finds past trainings by their data set."""

from typing import Any

from sqlalchemy import select, update

from catdog.database import Database
from catdog.jobs.job import Job, Kind, of_row
from catdog.tables import jobs


class History:
    """The jobs of one database, by the data set that they read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_by_dataset(self) -> dict[str, Job]:
        """The newest job of each data set that has one, without its findings."""
        columns = [column for column in jobs.columns if column is not jobs.c.findings]
        with self._database.reading() as connection:
            trainings = select(*columns).where(jobs.c.kind == Kind.TRAINING).order_by(jobs.c.number)
            rows = connection.execute(trainings).mappings()
            return {row["request"]["dataset"]: of_row({**row, "findings": None}) for row in rows}

    def forget_photo(self, sha256: str) -> int:
        """Remove a photo from the findings of all jobs; returns the number of findings that named it."""
        removed = 0
        with self._database.writing() as connection:
            rows = connection.execute(select(jobs.c.id, jobs.c.findings).where(jobs.c.findings.is_not(None))).all()
            for job, findings in rows:
                kept = [
                    {**one, "photos": [each for each in one["photos"] if each["sha256"] != sha256]} for one in findings
                ]
                if changed := sum(one != other for one, other in zip(findings, kept, strict=True)):
                    connection.execute(update(jobs).where(jobs.c.id == job).values(findings=kept))
                    removed += changed
        return removed

    def newest_findings(self, dataset: str) -> list[Any]:
        """What the last check of a data set found; empty if it wasn't checked, or its job was deleted."""
        requests = select(jobs.c.number, jobs.c.request).where(
            jobs.c.findings.is_not(None), jobs.c.kind == Kind.TRAINING
        )
        with self._database.reading() as connection:
            rows = connection.execute(requests.order_by(jobs.c.number.desc()))
            number = next((row.number for row in rows if row.request["dataset"] == dataset), None)
            return list(connection.scalar(select(jobs.c.findings).where(jobs.c.number == number)) or [])
