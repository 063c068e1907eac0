"""What the routes share, and how they get at it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request, Security

from sweeper.service.auth import Caller, Guard, Tickets, bearer
from sweeper.service.board import Board
from sweeper.service.cluster import Cluster
from sweeper.service.limits import RateLimit
from sweeper.service.models import RunName
from sweeper.service.operations import Operations
from sweeper.service.settings import Settings


@dataclass(frozen=True)
class Service:
    """The parts of a running service."""

    settings: Settings
    guard: Guard
    tickets: Tickets
    rate: RateLimit
    cluster: Cluster
    board: Board
    operations: Operations


# Coroutines, though they block on nothing: plain functions would be run in threads, at half of the cost of a read.
async def state(request: Request) -> Service:
    """Return the parts of the service that a request came to."""
    found: Service = request.app.state.parts
    return found


async def allowed(request: Request, parts: "Parts") -> Caller:
    """Return who asks, if they may; their requests are counted.

    Raises:
        Refusal: 401, 403 or 429.
    """
    host = request.client.host if request.client else ""
    try:
        caller = parts.guard.caller(request)
    except Exception:
        await parts.rate.check(request, f"unknown {host}")
        raise
    await parts.rate.check(request, caller.name if parts.settings.tokens else host)
    return caller


Parts = Annotated[Service, Depends(state)]
Name = Annotated[str, Path(pattern=RunName, description="Name of a sweep.", examples=["digits-cpu-560a3c0d"])]
Allowed = [Security(bearer), Depends(allowed)]
