"""The Tune trainable: one trial, one step per branch point, each step recorded before it is reported."""

import math
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from ray import tune

from analysis.records import MergeRecord, Outcome, Stage, Status
from analysis.verdict import objective_selection
from search_spaces.cost import epochs_after
from sweeper.measuring import floor_of, objective, objective_sem
from sweeper.store import StorageError
from sweeper.training import NewTrainer
from sweeper.trial import TrialName, in_turn, load_task, run_trial
from sweeper.tuning.job import Job, Suggested
from sweeper.tuning.results import DRAINED, METRIC, OUT_OF_MEMORY, PROBLEM, SUGGESTED, WAIT
from sweeper.tuning.search.early import EarlyStop, Foretold
from sweeper.tuning.search.told import view
from sweeper.tuning.workers.branches import BranchWorkers
from sweeper.tuning.workers.parallel import Group
from sweeper.tuning.workers.replicas import trainer_of
from sweeper.tuning.workers.watch import Overdue, Watch


class TrialRunner(tune.Trainable):
    """Runs a trial from its first branch point that has no record; actors are reused from trial to trial.

    Every result has a finite `objective`; the last one also `status` and `sem`, the others the number of
    `branch_points` so far and the `view` they give, None for none. A request to stop ends the trial
    after the branch point in progress, with `drained` set.
    """

    def setup(self, config: dict[str, Any], job: Job) -> None:  # type: ignore[override]
        """Take up the first trial of this actor."""
        self.job = job
        self.device = job.enter(job.recipe.resources)
        self.store = job.store()
        self.ledger = job.ledger()
        self.selection = objective_selection(job.recipe.model_dump(mode="json"))
        search = job.recipe.search
        self.early_stop = EarlyStop(self.ledger, search, self.selection) if search.early_stop else None
        self.group = Group(job) if job.recipe.resources.data_parallel > 1 else None
        self.workers = BranchWorkers(job) if job.recipe.resources.branch_workers else None
        self._take_up(config)

    def cleanup(self) -> None:
        """End the processes that trained with this one."""
        for others in (self.group, self.workers):
            if others is not None:
                others.close()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next trial in the same process."""
        self._take_up(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Run to the next branch point; what other trials would meet as well ends this one as drained, and says why.

        Raises:
            TimeoutError: if the trial hangs.
        """
        try:
            return self._advance()
        except StorageError as error:
            return {METRIC: self._objective(), DRAINED: True, PROBLEM: str(error), "done": True}
        except (MemoryError, torch.OutOfMemoryError) as error:
            return self._aside(f"{type(error).__name__}: {error}")
        except Overdue as overdue:
            raise TimeoutError(str(overdue)) from None

    def _aside(self, error: str) -> dict[str, Any]:
        return {METRIC: self._objective(), DRAINED: True, OUT_OF_MEMORY: error, "done": True}

    def _advance(self) -> dict[str, Any]:
        if self.killed_for_memory:
            return self._aside(self.killed_for_memory)
        if self.ledger.stop_requested():
            if self.branches:
                for sent in self.branches.rest():
                    self._record(sent)
            return {METRIC: self._objective(), DRAINED: True, "done": True}
        started = time.perf_counter(), time.process_time()
        with self.watch():
            stage = next(self.stages, None)
        self.wall_seconds += time.perf_counter() - started[0]
        self.cpu_seconds += time.process_time() - started[1]
        if stage is None:
            return self._finish()
        self._record(stage)
        return {
            METRIC: self._objective(),
            "branch_step": stage.branch_step,
            "branch_points": len({record.branch_step for record in self.records}),
            "view": self._view(),
            "epochs": self.epochs,
            "done": False,
        }

    def _record(self, stage: Stage) -> None:
        self.ledger.stage(stage)
        self.records += stage.records
        self.epochs += sum(stage.trained.values())

    def _take_up(self, config: dict[str, Any]) -> None:
        time.sleep(config.get(WAIT, 0.0))
        self.killed_for_memory: str = config.get(OUT_OF_MEMORY, "")
        self.watch = Watch(self.job.recipe.limits)
        self.suggested: Suggested = config[SUGGESTED]
        trial, self.trial_config = self.job.trial(self.suggested)
        done = self.ledger.stages(trial)
        self.name = TrialName(self.job.run, trial, self.ledger.next_attempt(trial), self.job.recipe.name)
        self.records: list[MergeRecord] = [record for stage in done.values() for record in stage.records]
        self.epochs = self.wall_seconds = self.cpu_seconds = 0.0
        self.foretold: Foretold | None = None
        if self.early_stop is not None:
            self.early_stop.refresh()
        self.trainer = self._trainer()
        self.branches = self.workers.of(self.trial_config, self.name, self.trainer) if self.workers else None
        self.stages = self._run(done)

    def _run(self, done: dict[int, Stage]) -> Iterator[Stage]:
        return run_trial(
            self.trial_config,
            self.store,
            self.name,
            self.job.recipe.retention,
            self.device,
            done,
            self._hopeless if self.early_stop else None,
            self.branches or in_turn,
            self.trainer,
        )

    def _trainer(self) -> NewTrainer:
        if self.group is not None:
            return self.group.trainer_of(self.trial_config)
        return trainer_of(self.job, self.trial_config, self.device)

    def _hopeless(self, stages: Mapping[int, Stage]) -> bool:
        assert self.early_stop is not None
        self.foretold = self.early_stop.judge(stages)
        return self.foretold is not None

    def _epochs_saved(self) -> float:
        if self.foretold is None:
            return 0.0
        images = len(load_task(self.trial_config.task, self.device).train[0])
        return epochs_after(self.trial_config, images, max(record.branch_step for record in self.records))

    def _objective(self) -> float:
        search = self.job.recipe.search
        value = objective(self.records, search, self.selection)
        return floor_of(search) if value is None else value

    def _view(self) -> float | None:
        value = view(self.records, self.job.recipe.search, self.selection)
        return value if math.isfinite(value) else None

    def _finish(self) -> dict[str, Any]:
        search = self.job.recipe.search
        told = self.foretold or Foretold(
            self._objective(), objective_sem(self.records, search, self.selection)
        )
        outcome = Outcome(
            trial=self.name.trial,
            attempt=self.name.attempt,
            number=self.suggested.number,
            status=overall_status(self.records),
            objective=told.objective,
            epochs_trained=self.epochs,
            wall_seconds=self.wall_seconds,
            cpu_seconds=self.cpu_seconds + (self.branches.cpu_seconds if self.branches else 0.0),
            host=socket.gethostname(),
            time=time.time(),
            sem=told.sem,
            epochs_saved=self._epochs_saved(),
        )
        self.ledger.outcome(outcome)
        return {
            METRIC: outcome.objective,
            "status": outcome.status,
            "sem": outcome.sem,
            "epochs": self.epochs,
            "epochs_saved": outcome.epochs_saved,
            "wall_seconds": self.wall_seconds,
            "done": True,
        }


def overall_status(records: list[MergeRecord]) -> Status:
    """Return ok if any merge of the trial means something, else diverged or at_chance, whichever is commoner."""
    statuses = [record.status for record in records]
    if "ok" in statuses:
        return "ok"
    return "at_chance" if statuses.count("at_chance") >= statuses.count("diverged") else "diverged"
