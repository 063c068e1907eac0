"""What is known of every sweep, looked at again as seldom as will do: reads are answered from memory."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from analysis.reading import RunError
from sweeper.jobs import JobInfo
from sweeper.service import reading
from sweeper.service.cluster import Cluster
from sweeper.service.models import ACTIVE, State, Sweep
from sweeper.service.problems import Refusal
from sweeper.service.reading import Workers
from sweeper.store import Storage, StorageError
from sweeper.store.ledger import list_runs

FRESH_SECONDS = 1.0
"""For how long a look at an active sweep counts; at an ended one, and at the list of runs, `ENDED_SECONDS`."""
ENDED_SECONDS = 10.0
SHARE = 0.1
"""Of one core that looking at one sweep may take: trials need the cores."""
PATIENCE_SECONDS = 3.0
"""How long a list waits for sweeps that were never looked at."""


@dataclass
class _Seen:
    """The last look at one run."""

    fingerprint: str = ""
    status: dict[str, Any] | None = None
    """None if there is no run."""
    problem: str = ""
    until: float = 0.0
    known: bool = False
    looking: asyncio.Task[None] | None = None


class Board:
    """All sweeps of a storage: what their ledgers say, and what the cluster says of their jobs."""

    def __init__(self, storage: str, cluster: Cluster, workers: Workers) -> None:
        self._storage, self._cluster, self._workers = Storage(storage), cluster, workers
        self._seen: dict[str, _Seen] = {}
        self._names: list[str] = []
        self._names_until = 0.0

    def path(self, name: str) -> str:
        """Return the path of a run."""
        return f"{self._storage.url}/runs/{name}"

    async def names(self) -> list[str]:
        """Return the names of all sweeps: runs in the storage, and jobs that have not begun one or failed to.

        Raises:
            StorageError: if the storage can't be listed.
        """
        jobs = await self._cluster.jobs()
        if time.monotonic() > self._names_until:
            self._names = await anyio.to_thread.run_sync(list_runs, self._storage)
            self._names_until = time.monotonic() + FRESH_SECONDS
        return [*self._names, *(jobs.keys() - set(self._names))]

    async def all(self) -> list[Sweep]:
        """Return all sweeps, the latest first."""
        jobs, names = await self._cluster.jobs(), await self.names()
        looking = [task for name in names if (task := self._look(name, jobs.get(name)))]
        if unknown := [task for task in looking if not self._seen[task.get_name()].known]:
            await asyncio.wait(unknown, timeout=PATIENCE_SECONDS)
        found = [sweep for name in names if (sweep := self._sweep(name, jobs.get(name)))]
        return sorted(found, key=lambda sweep: (-(sweep.began or float("inf")), sweep.name))

    async def get(self, name: str) -> Sweep:
        """Return one sweep.

        Raises:
            Refusal: 404 if there is none of that name.
        """
        jobs = await self._cluster.jobs()
        if name not in await self.names():
            raise Refusal(404, f"no sweep {name}")
        looking = self._look(name, jobs.get(name))
        if looking is not None and not self._seen[name].known:
            await asyncio.shield(looking)
        sweep = self._sweep(name, jobs.get(name))
        if sweep is None:
            raise Refusal(404, f"no sweep {name}")
        return sweep

    async def again(self, name: str) -> Sweep:
        """Return one sweep as it is now, after a request has changed it."""
        self._cluster.forget()
        self.forget([name])
        return await self.get(name)

    def forget(self, names: Iterable[str]) -> None:
        """Have sweeps looked at before they are answered again."""
        self._names_until = 0.0
        for name in names:
            self._seen.pop(name, None)

    def fingerprint(self, name: str) -> str:
        """Return what the ledger of a run was like at the last look."""
        return self._seen[name].fingerprint if name in self._seen else ""

    def _look(self, name: str, job: JobInfo | None) -> asyncio.Task[None] | None:
        """Have a run looked at if the last look is too old; return the look in progress."""
        seen = self._seen.setdefault(name, _Seen())
        if seen.looking is None and time.monotonic() > seen.until:
            seen.looking = asyncio.create_task(self._refresh(name, seen, job), name=name)
        return seen.looking

    async def _refresh(self, name: str, seen: _Seen, job: JobInfo | None) -> None:
        spent = 0.0
        try:
            found = await self._workers(reading.look, self.path(name), seen.fingerprint)
        except (RunError, StorageError) as error:
            seen.problem = str(error)
        else:
            spent, seen.problem = found.seconds, ""
            if found.status is not None or not found.fingerprint:
                seen.status = found.status
            seen.fingerprint = found.fingerprint
        finally:
            seen.known, seen.looking = True, None
            active = (seen.status or {}).get("state") in ACTIVE or (job is not None and job.active)
            pause = max(FRESH_SECONDS, spent / SHARE) if active else ENDED_SECONDS
            seen.until = time.monotonic() + pause

    def _sweep(self, name: str, job: JobInfo | None) -> Sweep | None:
        """Return what is known of a sweep, None if there is none."""
        seen = self._seen.get(name)
        if seen is None or not seen.known:
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
