"""The application: its parts put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware

from sweeper.service import api, events
from sweeper.service.audit import Audit
from sweeper.service.auth import Guard, Tickets
from sweeper.service.board import Board
from sweeper.service.cluster import Cluster
from sweeper.service.headers import Careful
from sweeper.service.limits import BodyLimit, RateLimit
from sweeper.service.operations import Operations
from sweeper.service.pages import add_pages
from sweeper.service.problems import add_handlers
from sweeper.service.reading import Workers
from sweeper.service.settings import Settings
from sweeper.service.state import Service
from sweeper.service.webhook import Webhook


def build_app(settings: Settings) -> FastAPI:
    """Return the service.

    Raises:
        ValueError: if it may not run so.
    """
    settings.check()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers, cluster = Workers(), Cluster(settings)
        board = Board(settings.storage, cluster, workers)
        webhook = Webhook(settings, cluster, board)
        operations = Operations(settings, cluster, board, workers, webhook)
        app.state.parts = Service(
            settings, Guard(settings.tokens), Tickets(), RateLimit(settings.rate), cluster, board, operations
        )
        watching = asyncio.create_task(webhook.watch())
        yield
        watching.cancel()
        operations.close()
        workers.close()

    app = FastAPI(
        title="sweeper",
        summary="Sweeps that find the training noise at which merging gains most.",
        version=version("sweeper"),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        middleware=[
            Middleware(Audit, path=settings.audit),
            Middleware(Careful),
            Middleware(BodyLimit, most=settings.body_bytes),
        ],
    )
    add_handlers(app)
    app.include_router(api.public)
    app.include_router(api.router)
    app.include_router(events.router)
    add_pages(app)
    return app
