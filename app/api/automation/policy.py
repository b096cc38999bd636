"""The endpoint that says when trainings start by themselves, and what would start now."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from app.api.dependencies import held
from app.api.jobs.job_schemas import moment_if_known
from app.errors import NotReady, Unauthorized
from app.retraining.automatic import AutomaticRetraining
from app.web.auth import reader
from app.web.problem_details import documented
from catdog.errors import DatabaseUnavailable
from catdog.policy.rules import Condition, Plan, Policy

router = APIRouter(prefix="/retrain", tags=["retrain"])

AutomaticDep = Annotated[AutomaticRetraining, held("automatic")]


class PolicyCondition(BaseModel, frozen=True):
    """One part of the policy."""

    name: str = Field(description="`after_labels`, `on_drift_hours` or `schedule`.")
    is_met: bool = Field(description="Whether it asks for a training now.")
    reason: str = Field(description="What it compares.")
    next_at: datetime | None = Field(description="When it will be met, as far as that is known.")

    @classmethod
    def of(cls, condition: Condition) -> Self:
        met = condition.trigger is not None
        return cls(name=condition.name, is_met=met, reason=condition.reason, next_at=moment_if_known(condition.next_at))


class RetrainPolicy(BaseModel, frozen=True):
    """When a training starts by itself, and what the policy would do now."""

    after_labels: int | None = Field(description="Number of new labels after which a training starts.")
    on_drift_hours: float | None = Field(description="Hours of drift after which a training starts.")
    schedule: str | None = Field(description="Times at which a training starts, as five fields of cron.")
    at_most_every_hours: float = Field(description="Least number of hours between two such trainings.")
    dataset: str | None = Field(description="The data set that it would train on; null if that isn't clear.")
    would_start: bool = Field(description="Whether a training would start now.")
    reason: str = Field(description="Why it would start, or why not.")
    next_at: datetime | None = Field(description="When the next training may start, as far as that is known.")
    conditions: list[PolicyCondition]

    @classmethod
    def of(cls, policy: Policy, plan: Plan) -> Self:
        return cls(
            after_labels=policy.after_labels,
            on_drift_hours=policy.on_drift_hours,
            schedule=policy.schedule,
            at_most_every_hours=policy.at_most_every_hours,
            dataset=plan.dataset,
            would_start=plan.trigger is not None,
            reason=plan.reason,
            next_at=moment_if_known(plan.next_at),
            conditions=[PolicyCondition.of(condition) for condition in plan.conditions],
        )


@router.get(
    "/policy",
    dependencies=[Depends(reader)],
    responses=documented(Unauthorized, NotReady, DatabaseUnavailable, OSError),
)
async def policy(automatic: AutomaticDep) -> RetrainPolicy:
    """When trainings start by themselves, and whether one would start now, with reasons. Starts nothing."""
    return RetrainPolicy.of(automatic.policy, await automatic.plan())
