"""Endpoints of the trial: a candidate that runs next to the champion on live photos."""

from fastapi import APIRouter, Depends

from app.api.automation.trial_schemas import ShadowState, Trial
from app.api.dependencies import ShadowDep
from app.errors import Unauthorized
from app.web.auth import reader, trainer
from app.web.problem_details import documented
from catdog.audit import change
from catdog.errors import NoTrial, StoreError, StoreUnavailable

router = APIRouter(prefix="/shadow", tags=["models"])


@router.get("", dependencies=[Depends(reader)], responses=documented(Unauthorized, StoreError))
async def state(shadow: ShadowDep) -> ShadowState:
    """The trial of a version next to the champion, with its numbers so far; else the last trial."""
    trial = await shadow.latest()
    return ShadowState.of(trial, shadow.limits, *await shadow.queued())


@router.delete(
    "", dependencies=[Depends(trainer)], responses=documented(Unauthorized, StoreError, NoTrial, StoreUnavailable)
)
async def end(shadow: ShadowDep) -> Trial:
    """End the trial without a promotion. The version stays in the store."""
    ended = await shadow.end()
    change.note(version=ended.version)
    return Trial.of(ended)
