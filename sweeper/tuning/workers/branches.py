"""Branches that train elsewhere while the trunk goes on: Ray tasks in the trial's placement group."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from analysis.records import Stage
from search_spaces.config import TrialConfig
from sweeper.training import NewTrainer
from sweeper.trial import Trial, TrialName
from sweeper.tuning.job import Job

Trained = tuple[dict[str, float], float]
"""Epochs by key, as in `Stage.trained`, and seconds of processor time."""


@dataclass(frozen=True)
class Origin:
    """What any worker builds a trial from."""

    job: Job
    config: TrialConfig
    name: TrialName
    trainer: NewTrainer

    def trial(self) -> Trial:
        """Build the trial in this process."""
        device = self.job.enter(self.job.recipe.resources.bundles[-1])
        return Trial(
            self.config, self.job.store(), self.name, self.job.recipe.retention, device, self.trainer
        )


class BranchWorkers:
    """Sends the branches of each branch point to the trial's further bundles as soon as the point is stored.

    A branch is a task, and so is what merges and measures a branch point once its branches are there. They find
    their branch point in the store, wherever they run; Ray starts a lost one again, from there.
    """

    def __init__(self, job: Job, config: TrialConfig, name: TrialName, trainer: NewTrainer) -> None:
        placement = job.recipe.resources
        bundle = placement.bundles[-1]
        group = get_current_placement_group()
        assert group is not None, "Tune runs every trial in a placement group"
        self._options = {
            "num_cpus": bundle.cpu,
            "num_gpus": bundle.gpu,
            "resources": bundle.custom,
            "max_retries": placement.retries,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(group),
        }
        self._origin = ray.put(Origin(job, config, name, trainer))
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
        branch: Any = _branch.options(**self._options)
        measure: Any = _measure.options(**self._options)
        branches = [branch.remote(self._origin, step, seeds) for seeds in groups]
        self._waiting.append(measure.remote(self._origin, step, (trunk, 0.0), *branches).future())


@ray.remote
def _branch(origin: Origin, step: int, seeds: tuple[int, ...]) -> Trained:
    started = time.process_time()
    lineage = origin.trial().lineage
    lineage.endpoints(step, seeds)
    return lineage.take_trained(), time.process_time() - started


@ray.remote
def _measure(origin: Origin, step: int, *earlier: Trained) -> tuple[Stage, float]:
    started = time.process_time()
    stage = origin.trial().stage(step)
    trained: dict[str, float] = {}
    for epochs, _ in earlier:
        trained |= epochs
    seconds = time.process_time() - started + sum(spent for _, spent in earlier)
    return stage.model_copy(update={"trained": trained | stage.trained}), seconds
