"""One trial on one page: train a trunk, branch it, merge the branches, measure what the merges gained."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from analysis.records import MergeRecord, Stage
from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.resources import Retention
from search_spaces.tasks import TaskConfig
from sweeper.data import Task, build_task, derive_seed
from sweeper.identity import label
from sweeper.ingredients import Ingredients
from sweeper.measuring import Meter, Site, groups, measure
from sweeper.store import Store
from sweeper.training import Lineage, NewTrainer, Separate


@dataclass(frozen=True)
class TrialName:
    """Whose records these are."""

    run: str = "run"
    trial: str = "trial"
    attempt: int = 0
    recipe: str = "recipe"


class Trial:
    """One setting with its lineage of checkpoints, and all that a branch point of it gives."""

    def __init__(
        self,
        config: TrialConfig,
        store: Store,
        name: TrialName = TrialName(),
        retention: Retention = Retention(),
        device: str = "cpu",
        trainer: NewTrainer = Separate,
    ) -> None:
        self.config = config
        self.name = name
        self.lineage = Lineage(config, load_task(config.task, device), store, retention, device, trainer)
        self._meter = _meter(config, self.lineage)

    def stage(self, step: int, merging: bool = True) -> Stage:
        """Branch the trunk at `step`, merge the branches unless told not to, and measure what that gained."""
        at = Ingredients(self.lineage, step)
        context = _context(self.config, self.name, step, self.lineage.steps_per_epoch)
        records: list[MergeRecord] = []
        for merge in self.config.merges if merging else ():
            for group in groups(at.endpoints(merge.swa), merge.group):
                settings = at.settings(merge, group)
                records += self._meter.records(group, merge, settings, context)
        site = Site(self.config, self._meter, partial(self.lineage.start, step), at.endpoints(), records)
        return Stage(
            trial=self.name.trial,
            attempt=self.name.attempt,
            branch_step=step,
            records=tuple(records),
            measurements=tuple(measure(site, self.name.run, self.name.trial, step)),
            trained=self.lineage.take_trained(),
        )


Branches = Callable[[Trial, Iterator[int]], Iterator[Stage]]
"""How the stages of a trial come about, one per branch step, in order."""


def in_turn(trial: Trial, steps: Iterator[int]) -> Iterator[Stage]:
    """Train the trunk to each branch point and its branches after that, here."""
    return map(trial.stage, steps)


def run_trial(
    config: TrialConfig,
    store: Store,
    name: TrialName = TrialName(),
    retention: Retention = Retention(),
    device: str = "cpu",
    done: Mapping[int, Stage] = MappingProxyType({}),
    enough: Callable[[Mapping[int, Stage]], bool] | None = None,
    branches: Branches = in_turn,
    trainer: NewTrainer = Separate,
) -> Iterator[Stage]:
    """Yield one `Stage` per branch point, in order, but for those that are `done`, by branch step.

    The trial ends before a branch point if `enough` says so of the stages there are by then.

    Whatever the store holds is loaded, not trained again. Divergence is data: a diverged trunk or branch gives
    records with status "diverged". On a CPU the same config gives the same bits.
    """
    trial = Trial(config, store, name, retention, device, trainer)
    stages = dict(done)

    def steps() -> Iterator[int]:
        for step in trial.lineage.branch_steps:
            if step in done:
                continue
            if enough is not None and stages and enough(stages):
                return
            yield step

    for stage in branches(trial, steps()):
        stages[stage.branch_step] = stage
        yield stage
    trial.lineage.retire(key for stage in stages.values() for key in stage.trained)


def load_task(config: TaskConfig, device: str = "cpu") -> Task:
    """Return the task that `config` names, on `device`."""
    return build_task(config.name, arguments(config), device)


def _meter(config: TrialConfig, lineage: Lineage) -> Meter:
    others = {label(other): load_task(other, str(lineage.device)) for other in config.measures.eval_tasks}
    return Meter(
        network=lineage.network,
        model=config.model.name,
        task=lineage.task,
        tasks={label(config.task): lineage.task, **others},
        measures=config.measures,
        augment=config.train.augment,
        seed=derive_seed("recalibrate", config.seed),
    )


def _context(config: TrialConfig, name: TrialName, step: int, steps_per_epoch: int) -> dict[str, Any]:
    train = config.train
    return {
        "run": name.run,
        "trial": name.trial,
        "attempt": name.attempt,
        "recipe": name.recipe,
        "task": label(config.task),
        "model": label(config.model),
        "optimizer": train.optimizer,
        "lr": train.resolved_lr,
        "batch_size": train.batch_size,
        "momentum": train.momentum,
        "weight_decay": train.weight_decay,
        "augment": train.augment,
        "noise_scale": train.resolved_noise_scale,
        "seed": config.seed,
        "branch_epoch": step / steps_per_epoch,
        "branch_step": step,
    }
