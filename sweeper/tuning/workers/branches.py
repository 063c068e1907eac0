"""Branches that train elsewhere while the trunk goes on: actors in the trial's placement group."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import ray

from analysis.records import Stage
from search_spaces.config import TrialConfig
from sweeper.training import NewTrainer
from sweeper.trial import Trial, TrialName
from sweeper.tuning.job import Job
from sweeper.tuning.workers.bundles import actors_beside

Trained = tuple[dict[str, float], float]
"""Epochs by key, as in `Stage.trained`, and seconds of processor time."""


@dataclass(frozen=True)
class Origin:
    """What any worker builds a trial from, besides the job."""

    config: TrialConfig
    name: TrialName
    trainer: NewTrainer


class BranchWorkers:
    """Processes in the trial's further bundles, which train the branches of each branch point once it is stored.

    They last as long as the process that makes them, from trial to trial: a process takes seconds to start, and its
    data to load. Branches go to them in turn, and so does what merges and measures a branch point once its branches
    are there. They find their branch point in the store, wherever they run; Ray starts a lost worker again, on
    another node if need be, and what it was doing, from there.
    """

    def __init__(self, job: Job) -> None:
        self._workers = actors_beside(
            _Worker,
            job,
            max_restarts=-1,
            max_task_retries=job.recipe.resources.retries,
            # A stage that waits for another worker's branch lets others by.
            allow_out_of_order_execution=True,
        )

    def of(self, config: TrialConfig, name: TrialName, trainer: NewTrainer) -> "Branches":
        """Return what sends the branches of one trial to these workers."""
        return Branches(self._workers, Origin(config, name, trainer))

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            ray.kill(worker)


class Branches:
    """The branches of one trial, trained by workers."""

    def __init__(self, workers: Sequence[Any], origin: Origin) -> None:
        self._turns, self._origin = cycle(workers), ray.put(origin)
        self._waiting: deque[Future[tuple[Stage, float]]] = deque()
        self.cpu_seconds = 0.0

    def __call__(self, trial: Trial, steps: Iterator[int]) -> Iterator[Stage]:
        """Yield the stages, in order, as they are found ready between two branch points, and at the end the rest."""
        for step in steps:
            trial.lineage.reach(step)
            self._send(step, trial.lineage.groups, trial.lineage.take_trained())
            while self._waiting and self._waiting[0].done():
                yield self._next()
        yield from self.rest()

    def rest(self) -> Iterator[Stage]:
        """Yield what has been sent and not yet been yielded, and wait for it."""
        while self._waiting:
            yield self._next()

    def _next(self) -> Stage:
        stage, seconds = self._waiting.popleft().result()
        self.cpu_seconds += seconds
        return stage

    def _send(self, step: int, groups: list[tuple[int, ...]], trunk: dict[str, float]) -> None:
        branches = [next(self._turns).branch.remote(self._origin, step, seeds) for seeds in groups]
        stage = next(self._turns).measure.remote(self._origin, step, (trunk, 0.0), *branches)
        self._waiting.append(stage.future())


@ray.remote
class _Worker:
    """What trains branches, and measures branch points, in one bundle."""

    def __init__(self, job: Job) -> None:
        self._job, self._device = job, job.enter(job.recipe.resources.bundles[-1])

    def branch(self, origin: Origin, step: int, seeds: tuple[int, ...]) -> Trained:
        started = time.process_time()
        lineage = self._trial(origin).lineage
        lineage.endpoints(step, seeds)
        return lineage.take_trained(), time.process_time() - started

    def measure(self, origin: Origin, step: int, *earlier: Trained) -> tuple[Stage, float]:
        started = time.process_time()
        stage = self._trial(origin).stage(step)
        trained: dict[str, float] = {}
        for epochs, _ in earlier:
            trained |= epochs
        seconds = time.process_time() - started + sum(spent for _, spent in earlier)
        return stage.model_copy(update={"trained": trained | stage.trained}), seconds

    def _trial(self, origin: Origin) -> Trial:
        job = self._job
        return Trial(
            origin.config, job.store(), origin.name, job.recipe.retention, self._device, origin.trainer
        )
