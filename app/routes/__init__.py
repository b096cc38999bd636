"""HTTP, translated: each module here is one group of addresses, and delegates."""

from typing import Annotated

from fastapi import Depends, Request

from app.predictor import Champion, Predictor
from app.settings import Settings


async def settings(request: Request) -> Settings:
    """What the service was started with."""
    held: Settings = request.app.state.settings
    return held


async def predictor(request: Request) -> Predictor:
    """The one that answers."""
    held: Predictor = request.app.state.predictor
    return held


async def champion(predictor: Annotated[Predictor, Depends(predictor)]) -> Champion:
    """The version in service; 503 where there is none."""
    return predictor.champion


TheSettings = Annotated[Settings, Depends(settings)]
ThePredictor = Annotated[Predictor, Depends(predictor)]
TheChampion = Annotated[Champion, Depends(champion)]
