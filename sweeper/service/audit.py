"""Who did what: one JSON line per request to the API, without tokens, bodies and queries."""

import contextlib
import json
import sys
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Audit:
    """Writes a line after every request: time, token's name, scope, method, path, status, run."""

    def __init__(self, app: ASGIApp, path: Path | None) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write its line when it has been answered."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._write(scope, status)

    def _write(self, scope: Scope, status: int) -> None:
        caller = scope.get("state", {}).get("caller")
        entry = {
            "time": round(time.time(), 3),
            "token": caller.name if caller else None,
            "scope": caller.scope if caller else None,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "run": scope.get("path_params", {}).get("name"),
        }
        # Opened each time, so that the file may be rotated. A short line is appended whole.
        with contextlib.nullcontext(sys.stderr) if self._path is None else self._path.open("a") as file:
            file.write(f"{json.dumps(entry)}\n")
