"""The live view: a run's study in optuna-dashboard, for this machine only."""

import contextlib
import json
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import optuna_dashboard

from sweeper.commands.console import say
from sweeper.commands.request import refuse
from sweeper.commands.watch import Repeat
from sweeper.dashboard import Look, mirror

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
"""optuna-dashboard asks nobody who they are: others must not reach it."""
READING = ("GET", "HEAD")


class Dashboard(Repeat):
    """Serves the study of the run at `path`, and a new one whenever something has happened in the run.

    Raises:
        OSError: if the port can't be had.
    """

    def __init__(self, path: str, port: int) -> None:
        super().__init__()
        self._path = path
        self._seen: Look | None = None
        self.server = _Server((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Where the study is."""
        return f"http://{HOST}:{self.server.server_port}/dashboard/studies/0"

    def look(self) -> None:
        """Read the run, and if something has happened put its new study in place of the old one.

        Raises:
            RunError: if the run is damaged.
        """
        look = Look.at(self._path)
        if not look.same_as(self._seen):
            # The old study is replaced as a whole: no page sees half of an update.
            self.server.set_app(_read_only(optuna_dashboard.wsgi(mirror(look))))
            self._seen = look

    def serve(self) -> None:
        """Answer requests until Ctrl-C."""
        self.start()
        with contextlib.suppress(KeyboardInterrupt):
            self.server.serve_forever()
        self.stop()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: a page asks every few seconds."""


def _read_only(app: "WSGIApplication") -> "WSGIApplication":
    """Return `app` without its ways to change the study: the next look would undo what they did."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING:
            return app(environ, start_response)
        start_response("405 Method Not Allowed", [("Content-Type", "application/json")])
        return [json.dumps({"reason": "This is a view of the run's ledger, and can't change it."}).encode()]

    return answer


def serve(path: str, port: int) -> None:
    """Serve the study of the run at `path` until Ctrl-C.

    Raises:
        RunError: if the run is damaged.
        WrongRequest: if the port can't be had.
    """
    try:
        dashboard = Dashboard(path, port)
    except OSError as error:
        refuse(f"--port {port}: {error.strerror}; name another --port")
    with dashboard.server:
        dashboard.look()
        say(f"{dashboard.url} shows the run as it goes; Ctrl-C ends it")
        dashboard.serve()
