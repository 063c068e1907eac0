"""What is known of every sweep, looked at again as seldom as will do: reads are answered from memory."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio.to_thread

from analysis.reading import RunError
from sweeper.jobs import JobInfo
from sweeper.service import reading
from sweeper.service.cluster import Cluster
from sweeper.service.models import ACTIVE, State, Sweep
from sweeper.service.problems import Refusal
from sweeper.service.reading import Workers
from sweeper.service.remembered import Remembered
from sweeper.store import Storage, StorageError
from sweeper.store.ledger import list_runs

FRESH_SECONDS = 1.0
"""For how long a look at an active sweep counts; at an ended one, and at the list of runs, `ENDED_SECONDS`."""
ENDED_SECONDS = 10.0
SHARE = 0.1
"""Of one core that looking at one sweep may take: trials need the cores."""
PATIENCE_SECONDS = 3.0
"""How long a list waits for sweeps that were not looked at lately."""


@dataclass(frozen=True)
class _Seen:
    """What a look at one run saw."""

    fingerprint: str = ""
    status: dict[str, Any] | None = None
    """None if there is no run."""
    problem: str = ""


class Board:
    """All sweeps of a storage: what their ledgers say, and what the cluster says of their jobs."""

    def __init__(self, storage: str, cluster: Cluster, workers: Workers) -> None:
        self._storage, self._cluster, self._workers = Storage(storage), cluster, workers
        self._runs = Remembered(self._list)
        self._looks: dict[str, Remembered[_Seen]] = {}

    def path(self, name: str) -> str:
        """Return the path of a run."""
        return f"{self._storage.url}/runs/{name}"

    async def runs(self) -> frozenset[str]:
        """Return the names of the runs in the storage.

        Raises:
            StorageError: if the storage can't be listed.
        """
        return await self._runs.get()

    async def all(self) -> list[Sweep]:
        """Return all sweeps, the latest first: runs in the storage, and jobs that have not begun one or failed to.

        Raises:
            StorageError: if the storage can't be listed.
        """
        jobs = await self._cluster.jobs()
        names = await self.runs() | jobs.keys()
        if late := [task for name in names if (task := self._look(name).late())]:
            await asyncio.wait(late, timeout=PATIENCE_SECONDS)
        found = [sweep for name in names if (sweep := self._sweep(name, jobs.get(name)))]
        return sorted(found, key=lambda sweep: (-(sweep.began or float("inf")), sweep.name))

    async def find(self, name: str) -> Sweep | None:
        """Return one sweep, None if there is none of that name.

        Raises:
            StorageError: if the storage can't be listed.
        """
        jobs = await self._cluster.jobs()
        if name not in jobs and name not in await self.runs():
            return None
        await self._look(name).get()
        return self._sweep(name, jobs.get(name))

    async def get(self, name: str) -> Sweep:
        """Return one sweep.

        Raises:
            Refusal: 404 if there is none of that name.
        """
        sweep = await self.find(name)
        if sweep is None:
            raise Refusal(404, f"no sweep {name}")
        return sweep

    async def renew(self, name: str) -> None:
        """Have what is known of a sweep be what is so from now on: a request has changed it."""
        await self._cluster.renew()
        await self._runs.renew()
        await self._look(name).renew()

    def fingerprint(self, name: str) -> str:
        """Return what the ledger of a run was like at the last look."""
        seen = self._look(name).answer
        return seen.fingerprint if seen else ""

    async def _list(self) -> tuple[frozenset[str], float]:
        return frozenset(await anyio.to_thread.run_sync(list_runs, self._storage)), FRESH_SECONDS

    def _look(self, name: str) -> Remembered[_Seen]:
        if name not in self._looks:
            self._looks[name] = Remembered(partial(self._see, name))
        return self._looks[name]

    async def _see(self, name: str) -> tuple[_Seen, float]:
        before, spent = self._looks[name].answer or _Seen(), 0.0
        try:
            found = await self._workers(reading.look, self.path(name), before.fingerprint)
        except (RunError, StorageError) as error:
            seen = replace(before, problem=str(error))
        else:
            spent = found.seconds
            unchanged = found.status is None and found.fingerprint
            seen = _Seen(found.fingerprint, before.status if unchanged else found.status)
        job = (await self._cluster.jobs()).get(name)
        active = (seen.status or {}).get("state") in ACTIVE or (job is not None and job.active)
        return seen, max(FRESH_SECONDS, spent / SHARE) if active else ENDED_SECONDS

    def _sweep(self, name: str, job: JobInfo | None) -> Sweep | None:
        """Return what is known of a sweep, None if there is none."""
        seen = self._look(name).answer
        if seen is None:
            return Sweep(name=name, state="unknown", job=job and job.id)
        # A job that has succeeded had a run, which somebody has deleted since.
        if seen.status is None and not seen.problem and (job is None or job.status == "SUCCEEDED"):
            return None
        state, reason = _state(seen, job)
        status = seen.status or {}
        fields = {field: status[field] for field in Sweep.model_fields.keys() & status.keys()} | {
            "name": name, "state": state, "reason": reason, "job": job and job.id,
            "peak_reason": status.get("reason", ""),
        }  # fmt: skip
        return Sweep(**fields)


def _state(seen: _Seen, job: JobInfo | None) -> tuple[State, str]:
    """Return the state of a sweep from its ledger's and its job's, and why it failed if it did."""
    if seen.problem:
        return "failed", seen.problem
    state: State = (seen.status or {}).get("state", "interrupted")
    if state in {"done", "running", "stopping"}:
        return state, ""
    if job is not None and job.active:
        return "starting", ""
    if job is not None and job.status == "STOPPED":
        return "stopped", ""
    if job is not None and job.status == "FAILED" and state == "interrupted":
        return "failed", job.reason
    return state, ""
