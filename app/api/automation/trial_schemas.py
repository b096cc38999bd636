"""Response schemas of trials: a candidate next to the champion, on live photos."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from app.api.jobs.job_schemas import moment, moment_if_known
from catdog.versions import trial as stored
from catdog.versions import trial_rule
from catdog.versions.manifest import Decision
from catdog.versions.trial_rule import Limits


class Trial(BaseModel, frozen=True):
    """The trial of a version next to the champion."""

    version: int = Field(description="The candidate.")
    champion: int = Field(description="The version that answered the requests.")
    began_at: datetime
    ended_at: datetime | None = Field(description="Null while it runs.")
    promoted: bool = Field(description="Whether the trial put it into service.")
    photos: int = Field(description="Live photos that both versions answered.")
    labelled: int = Field(description="Of these, or of the kept ones, that feedback has labelled; 0 after the end.")
    decision: Decision | None = Field(
        description="Whether it was to replace the champion, why, and the numbers of each rule; null while it runs."
    )

    @classmethod
    def of(cls, trial: stored.Trial) -> Self:
        return cls(
            version=trial.version,
            champion=trial.champion,
            began_at=moment(trial.began_at),
            ended_at=moment_if_known(trial.ended_at),
            promoted=trial.promoted,
            photos=trial.photos,
            labelled=len(trial.labelled),
            decision=trial.decision,
        )


class ShadowState(BaseModel, frozen=True):
    """The trial that runs, or the last one."""

    running: bool = Field(description="Whether a version is on trial now.")
    trial: Trial | None = Field(description="The trial that runs, else the last one; null if there was none.")
    so_far: Decision | None = Field(
        description="What the numbers of the running trial would decide now; null if none runs."
    )
    photos_wanted: int = Field(description="Photos after which a trial ends.")
    ends_at: datetime | None = Field(description="When the running trial ends at the latest.")
    waiting: int = Field(description="Photos that wait for the candidate.")
    left_out: int = Field(
        description="Photos that found no place to wait, since the trial or the process that answered them started."
    )

    @classmethod
    def of(cls, trial: stored.Trial | None, limits: Limits, waiting: int, left_out: int) -> Self:
        runs = trial if trial is not None and trial.is_running else None
        return cls(
            running=runs is not None,
            trial=None if trial is None else Trial.of(trial),
            so_far=None if runs is None else trial_rule.decide(runs, limits),
            photos_wanted=limits.photos,
            ends_at=None if runs is None else moment(runs.began_at + limits.hours * trial_rule.HOUR_SECONDS),
            waiting=waiting,
            left_out=left_out,
        )
