"""Tells the operator's URL when a sweep is done, has failed or has stopped.

A sweep whose end is to be told has a file in the storage until it has been, so that a restarted service goes on
waiting. A message may so arrive twice, with the same id.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time

import anyio.to_thread
import requests

from sweeper.service.board import Board
from sweeper.service.cluster import Cluster
from sweeper.service.models import Sweep
from sweeper.service.settings import Settings
from sweeper.store import Storage, StorageError

LOG = logging.getLogger(__name__)

EVENTS = {"done": "done", "stopped": "stopped", "failed": "failed", "interrupted": "failed"}
"""State in which a sweep ended → what is told."""
POLL_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
"""Seconds until a message that was not taken is sent again; doubled each time."""
TIMEOUT_SECONDS = 10.0


class Webhook:
    """Watches the sweeps that were begun here, and posts a signed message about the end of each."""

    def __init__(self, settings: Settings, cluster: Cluster, board: Board) -> None:
        self._url, self._secret = settings.webhook, settings.webhook_secret.encode()
        self._cluster, self._board, self._storage = cluster, board, Storage(settings.storage)
        self._folder = f"{self._storage.root}/service/webhook"
        self._due: dict[str, float] = {}
        self._pause: dict[str, float] = {}

    async def expect(self, run: str) -> None:
        """Have the end of a sweep told.

        Raises:
            StorageError: if that can't be noted.
        """
        if self._url:
            note = f"{self._folder}/{run}"
            await anyio.to_thread.run_sync(self._storage.write, note, str(time.time()).encode())

    async def watch(self) -> None:
        """Tell the ends of sweeps until cancelled; without a URL there is nothing to tell."""
        while self._url:
            await asyncio.sleep(POLL_SECONDS)
            try:
                for run in await anyio.to_thread.run_sync(self._storage.names, self._folder):
                    if time.monotonic() > self._due.get(run, 0.0):
                        await self._tell_if_ended(run)
            except StorageError as error:
                LOG.warning("webhook: %s", error)

    async def _tell_if_ended(self, run: str) -> None:
        note = f"{self._folder}/{run}"
        begun = await anyio.to_thread.run_sync(self._storage.read, note)
        job = (await self._cluster.jobs()).get(run)
        # At first its job may not be known yet, and the state be that in which it ended before.
        if begun is None or time.time() - float(begun) < 2 * POLL_SECONDS or (job is not None and job.active):
            return
        await self._board.renew(run)
        sweep = await self._board.find(run)
        if sweep is not None and sweep.state not in EVENTS:
            return
        if sweep is not None:
            id_ = hashlib.sha256(begun + run.encode()).hexdigest()[:32]
            if problem := await anyio.to_thread.run_sync(self._post, id_, sweep):
                LOG.warning("webhook: %s of %s was not taken: %s", sweep.state, run, problem)
                pause = self._pause.get(run, FIRST_PAUSE)
                self._due[run] = time.monotonic() + pause
                self._pause[run] = min(2 * pause, LONGEST_PAUSE)
                return
        await anyio.to_thread.run_sync(self._storage.remove, note)
        self._pause.pop(run, None)
        self._due.pop(run, None)

    def _post(self, id_: str, sweep: Sweep) -> str:
        """Post a message; return what went wrong, "" if nothing did."""
        moment = str(int(time.time()))
        body = json.dumps({"id": id_, "event": EVENTS[sweep.state], "sweep": sweep.model_dump()}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Sweeper-Timestamp": moment,
            "X-Sweeper-Signature": signature(self._secret, moment, body),
        }
        try:
            answer = requests.post(
                self._url, body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            return type(error).__name__
        return "" if answer.status_code < 300 else f"status {answer.status_code}"


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return sha256=HMAC-SHA256(secret, timestamp "." body), in hexadecimal."""
    return f"sha256={hmac.new(secret, timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"
