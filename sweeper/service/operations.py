"""What can be done with sweeps; what it means is said by `sweeper.jobs`, the ledger, and `sweeper.store`."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from sweeper.jobs import JobInfo
from sweeper.service import reading
from sweeper.service.board import Board
from sweeper.service.cluster import Cluster
from sweeper.service.models import ACTIVE, Measure, Sweep
from sweeper.service.problems import Refusal
from sweeper.service.reading import Prepared, Workers
from sweeper.service.settings import Settings
from sweeper.service.webhook import Webhook
from sweeper.store import Ledger
from sweeper.tuning.cluster import ClusterError

SENT_SECONDS = 600.0
"""After which nobody is still being sent a file that has been made anew."""


class Operations:
    """Submits, stops, resumes and deletes sweeps, and makes files of them."""

    def __init__(
        self, settings: Settings, cluster: Cluster, board: Board, workers: Workers, webhook: Webhook
    ) -> None:
        self._settings, self._cluster, self._board, self._workers = settings, cluster, board, workers
        self._webhook = webhook
        self._submitting = asyncio.Lock()
        self._files = tempfile.TemporaryDirectory(prefix="sweeper-service-")
        self._making: dict[Path, asyncio.Lock] = {}

    def close(self) -> None:
        """Remove the files."""
        self._files.cleanup()

    async def submit(self, content: Mapping[str, Any], name: str | None = None) -> tuple[Sweep, bool]:
        """Have a recipe run; return its sweep, and whether this call began it. Again, it is the same sweep.

        Raises:
            RecipeError: if there is no such recipe, or it asks for more than it may.
            Refusal: if too many sweeps run.
            ClusterError: if the cluster doesn't answer.
        """
        prepared = await self._prepare(content, name)
        return await self._begin(prepared, None)

    async def resume(self, name: str, trials: int | None) -> tuple[Sweep, bool]:
        """Go on with a sweep; return it, and whether this call did.

        Raises:
            Refusal: if there is none, or it is still stopping.
            ClusterError: if the cluster doesn't answer.
        """
        sweep = await self._board.get(name)
        if sweep.state == "stopping":
            raise Refusal(409, f"sweep {name} is stopping; resume it once it has stopped")
        ledger = Ledger.at(self._board.path(name))
        info = await anyio.to_thread.run_sync(ledger.info)
        if info is None:
            raise Refusal(409, f"sweep {name} has not begun; submit its recipe again")
        asked = await anyio.to_thread.run_sync(ledger.requested_trials)
        prepared = await self._prepare(info.recipe, name, trials)
        return await self._begin(prepared, trials or asked or None)

    async def measure(self, name: str, what: Measure) -> Sweep:
        """Have merges or measures added to a sweep that has ended.

        Raises:
            RecipeError: if its networks can't be merged or measured like this.
            Refusal: if there is no such sweep, it has not ended, or too much runs.
            ClusterError: if the cluster doesn't answer.
        """
        sweep = await self._board.get(name)
        if sweep.state in ACTIVE or sweep.began is None:
            raise Refusal(
                409, f"sweep {name} is {sweep.state}; what it has stored can be measured once it has ended"
            )
        recipe, arguments = await self._workers(
            reading.prepare_measure, self._board.path(name), what.model_dump(), self._settings.imports
        )
        async with self._submitting:
            jobs = await self._cluster.renew()
            if name in jobs and jobs[name].active:
                raise Refusal(409, f"sweep {name} is being measured; wait until that has ended")
            self._check_room(jobs)
            await self._cluster.call(
                lambda jobs: jobs.measure(recipe, self._settings.storage, name, arguments)
            )
        await self._board.renew(name)
        return await self._board.get(name)

    async def stop(self, name: str) -> Sweep:
        """Ask a sweep to drain; one that is not running is left as it is.

        Raises:
            Refusal: if there is none.
            ClusterError: if its job waits and the cluster doesn't answer.
        """
        sweep = await self._board.get(name)
        if sweep.state == "running":
            await anyio.to_thread.run_sync(Ledger.at(self._board.path(name)).request_stop)
        elif sweep.state == "starting":
            await self._cluster.call(lambda jobs: jobs.stop(name))
        await self._board.renew(name)
        return await self._board.get(name)

    async def delete(self, name: str) -> None:
        """Delete a sweep, and the checkpoints that no other run refers to.

        Raises:
            Refusal: if there is none, or it runs.
        """
        sweep = await self._board.get(name)
        if sweep.state in ACTIVE:
            raise Refusal(409, f"sweep {name} is {sweep.state}; stop it first")
        await self._workers(reading.delete, self._board.path(name))
        if sweep.job is not None:
            await self._cluster.call(lambda jobs: jobs.forget(name))
        await self._board.renew(name)

    async def file(self, name: str, kind: str, write: Callable[[str, Path], None]) -> tuple[Path, str]:
        """Return the file that `write` makes of a sweep, and its tag; made anew if something has happened.

        Raises:
            Refusal: if there is no such sweep, or it has no records to make a file of.
        """
        sweep = await self._board.get(name)
        if sweep.began is None:
            raise Refusal(409, f"sweep {name} has not begun: {sweep.reason or sweep.state}")
        tag = self._board.fingerprint(name)
        folder = Path(self._files.name) / name
        out = folder / f"{tag}.{kind}"
        async with self._making.setdefault(folder / kind, asyncio.Lock()):
            if not out.exists():
                folder.mkdir(exist_ok=True)
                for file in folder.glob(f"*.{kind}"):
                    if time.time() - file.stat().st_mtime > SENT_SECONDS:
                        file.unlink()
                await self._workers(write, self._board.path(name), out)
        return out, tag

    async def _prepare(
        self, content: Mapping[str, Any], name: str | None, trials: int | None = None
    ) -> Prepared:
        settings = self._settings
        return await self._workers(
            reading.prepare,
            content,
            name,
            settings.storage,
            settings.trials,
            settings.quota_gib,
            settings.imports,
        )

    async def _begin(self, prepared: Prepared, trials: int | None) -> tuple[Sweep, bool]:
        run, storage = prepared.run, self._settings.storage
        # One at a time, or each of several would find room for itself.
        async with self._submitting:
            jobs = await self._cluster.renew()
            active = {name for name, job in jobs.items() if job.active}
            known = await self._board.find(run)
            wanted = trials or prepared.recipe.planned_trials
            if known is not None and (run in active or (known.state == "done" and wanted <= known.total)):
                return known, False
            self._check_room(jobs)
            await self._webhook.expect(run)
            _, begun = await self._cluster.call(
                lambda jobs: jobs.submit(prepared.recipe, storage, run, trials)
            )
            await self._board.renew(run)
            return await self._board.get(run), begun

    def _check_room(self, jobs: Mapping[str, JobInfo]) -> None:
        """Check that one more job may begin.

        Raises:
            Refusal: if too many sweeps run.
            ClusterError: if the cluster did not answer.
        """
        active = sum(job.active for job in jobs.values())
        if active >= self._settings.sweeps:
            reason = f"as many sweeps as may, {active}, run or wait; stop one"
            raise Refusal(429, reason, {"Retry-After": "60"})
        if self._cluster.problem:
            raise ClusterError(self._cluster.problem)
