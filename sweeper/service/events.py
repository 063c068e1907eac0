"""Live events: a sweep's state whenever it changes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from sweeper.service.api import refusals
from sweeper.service.board import FRESH_SECONDS
from sweeper.service.models import ENDED, Sweep
from sweeper.service.problems import Refusal
from sweeper.service.state import Allowed, Name, Parts

router = APIRouter(prefix="/api/v1", dependencies=Allowed, tags=["sweeps"])


async def existing(name: Name, parts: Parts) -> Sweep:
    """Return a sweep; asked for before the stream begins, so that its absence is a 404.

    Raises:
        Refusal: if there is none.
    """
    return await parts.board.get(name)


@router.get(
    "/sweeps/{name}/events",
    response_class=EventSourceResponse,
    responses=refusals(401, 403, 404, 422, 429, 503),
)
async def events(sweep: Annotated[Sweep, Depends(existing)], parts: Parts) -> AsyncIterator[ServerSentEvent]:
    """Stream a sweep (`event: sweep`, the same JSON as its status) whenever it changes; ends when the sweep has."""
    told = None
    while True:
        if sweep != told:
            yield ServerSentEvent(event="sweep", data=sweep)
            told = sweep
        if sweep.state in ENDED:
            return
        await asyncio.sleep(FRESH_SECONDS)
        try:
            sweep = await parts.board.get(sweep.name)
        except Refusal:  # deleted meanwhile
            return
