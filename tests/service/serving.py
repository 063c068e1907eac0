"""A service in a thread of this process, on a port of its own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn

from sweeper.service.app import build_app
from sweeper.service.settings import Settings

AWAY = "http://127.0.0.1:1"
"""A cluster that isn't there."""


@contextlib.contextmanager
def serving(storage: str, address: str = AWAY, **settings: Any) -> Iterator[str]:
    """Serve, and yield the root of the pages."""
    app = build_app(Settings(storage, address, **settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


@contextlib.contextmanager
def client(root: str, token: str = "") -> Iterator[httpx.Client]:
    """A client of the API."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=f"{root}/api/v1", headers=headers, timeout=120) as api:
        yield api
