"""The cluster's jobs as the service sees them: asked for at most once a second, and possibly away."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

from sweeper.jobs import JobInfo, Jobs
from sweeper.service.settings import Settings
from sweeper.store import Storage
from sweeper.tuning.cluster import ClusterError

T = TypeVar("T")

FRESH_SECONDS, AWAY_SECONDS = 1.0, 5.0
"""How long an answer counts, and how long a failure to get one."""


class Cluster:
    """The jobs of sweeps of our storage. `reached` says whether the cluster answered when last asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage = Storage(settings.storage).url
        self._client: Jobs | None = None
        self._jobs: dict[str, JobInfo] = {}
        self._until = 0.0
        self._lock = asyncio.Lock()
        self.reached = False

    async def jobs(self, fresh: bool = False) -> dict[str, JobInfo]:
        """Return run → its latest job; what was last known if the cluster is away.

        Raises:
            ClusterError: if it is away and `fresh` is asked for.
        """
        if not fresh and time.monotonic() < self._until:
            return self._jobs
        async with self._lock:
            if fresh or time.monotonic() > self._until:
                await self._ask(fresh)
        return self._jobs

    def forget(self) -> None:
        """Have the jobs asked for before they are answered again."""
        self._until = 0.0

    async def _ask(self, fresh: bool) -> None:
        try:
            found = await self.call(lambda client: client.all())
        except ClusterError:
            self.reached, self._until = False, time.monotonic() + AWAY_SECONDS
            if fresh:
                raise
        else:
            self.reached, self._until = True, time.monotonic() + FRESH_SECONDS
            self._jobs = {run: job for run, job in found.items() if job.storage == self._storage}

    async def call(self, ask: Callable[[Jobs], T]) -> T:
        """Return what `ask` gets from the cluster's client.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """

        def asked() -> T:
            if self._client is None:
                self._client = Jobs(self._settings.address, self._settings.python)
            return ask(self._client)

        return await anyio.to_thread.run_sync(asked)
