"""The cluster's jobs as the service sees them: asked for at most once a second, and possibly away."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

from sweeper.jobs import JobInfo, Jobs
from sweeper.service.remembered import Remembered
from sweeper.service.settings import Settings
from sweeper.store import Storage
from sweeper.tuning.cluster import ClusterError

T = TypeVar("T")

FRESH_SECONDS, AWAY_SECONDS = 1.0, 5.0
"""How long an answer counts, and how long a failure to get one."""
READ_SECONDS, WRITE_SECONDS = 5.0, 60.0
"""How long an answer is waited for: a head whose machine is gone doesn't even refuse."""


class Cluster:
    """The jobs of sweeps of our storage."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage = Storage(settings.storage).url
        self._client: Jobs | None = None
        self._jobs = Remembered(self._ask)
        self.problem = ""
        """Why the cluster did not answer when last asked; empty if it did."""

    async def jobs(self) -> dict[str, JobInfo]:
        """Return run → its latest job; what was last known if the cluster is away."""
        return await self._jobs.get()

    async def renew(self) -> dict[str, JobInfo]:
        """Return run → its latest job, as it is from now on; what was last known if the cluster is away."""
        return await self._jobs.renew()

    async def _ask(self) -> tuple[dict[str, JobInfo], float]:
        try:
            found = await self.call(lambda client: client.all(), READ_SECONDS)
        except ClusterError as error:
            self.problem = str(error)
            return self._jobs.answer or {}, AWAY_SECONDS
        self.problem = ""
        return {run: job for run, job in found.items() if job.storage == self._storage}, FRESH_SECONDS

    async def call(self, ask: Callable[[Jobs], T], seconds: float = WRITE_SECONDS) -> T:
        """Return what `ask` gets from the cluster's client, within `seconds`.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """

        def asked() -> T:
            if self._client is None:
                self._client = Jobs(self._settings.address, self._settings.python)
            return ask(self._client)

        try:
            async with asyncio.timeout(seconds):
                return await anyio.to_thread.run_sync(asked, abandon_on_cancel=True)
        except TimeoutError as error:
            raise ClusterError(f"--address {self._settings.address}: no answer in {seconds:g} s") from error
