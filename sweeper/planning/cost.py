"""How long a recipe's training takes here, from a few timed steps of each kind."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.resources import Placement
from sweeper.data import Task, train_batches
from sweeper.models import build_model, is_convolutional
from sweeper.planning.plan import PlanInfo, TrialPlan
from sweeper.training import build_optimizer, train
from sweeper.training.lineage import DTYPES

WARM_UP_STEPS = 2
TIMED_SECONDS = 0.3
ENDLESS = 10**9

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class CostInfo:
    """Expected seconds of training, all trials one after the other, from `steps` steps timed on `device`."""

    seconds: float
    steps: int
    device: str
    slots: int
    """How many trials this machine runs at once."""


def cost_info(info: PlanInfo) -> CostInfo | None:
    """Return the expected cost of training on this machine.

    None if this version can't run the recipe, its data are not here, or it asks for a GPU and there is none.
    """
    gpu = info.recipe.resources.gpu > 0
    if info.missing or (gpu and not torch.cuda.is_available()):
        return None
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(info.recipe.resources.cpu)))
    timed: dict[str, tuple[float, int]] = {}
    for plan in info.plans:
        if plan.data.task is None:
            return None
        kind = _kind(plan)
        if kind not in timed:
            timed[kind] = _time_steps(plan.config, plan.data.task, "cuda" if gpu else "cpu")
    torch.set_num_threads(threads)
    seconds = info.total(lambda plan: plan.steps * timed[_kind(plan)][0])
    steps = sum(steps for _, steps in timed.values())
    return CostInfo(seconds, steps, "cuda" if gpu else "cpu", _slots(info.recipe.resources))


def _slots(placement: Placement) -> int:
    """Return how many trials run at once on this machine alone."""
    wants = ((placement.cpu, os.cpu_count() or 1), (placement.gpu, torch.cuda.device_count()))
    fits = min((int(there / amount) for amount, there in wants if amount), default=1)
    return max(1, min(fits, placement.concurrency or fits))


def _kind(plan: TrialPlan) -> str:
    """Return all that decides how long a step takes."""
    train = plan.config.train.model_dump_json(exclude={"lr", "noise_scale", "weight_decay"})
    return plan.config.model_dump_json(include={"task", "model"}) + train


def _time_steps(config: TrialConfig, task: Task, device: str) -> tuple[float, int]:
    """Return the seconds of one training step, and over how many steps they were measured."""
    dtype = DTYPES[config.train.precision]
    task = task.to(device)
    network = build_model(config.model.name, arguments(config.model), task, config.seed, dtype, device)
    optimizer = build_optimizer(network.parameters(), config.train)
    batches = train_batches(
        task,
        config.train.batch_size,
        config.train.augment,
        config.seed,
        0,
        ENDLESS,
        dtype=dtype,
        channels_last=is_convolutional(network),
    )

    def take(steps: Iterable[tuple[Tensor, Tensor]]) -> None:
        # At a learning rate of 0 nothing diverges, and a step costs the same.
        train(network, optimizer, steps, lambda _: 0.0, 0, 0, autocast=config.train.precision == "bf16")

    take(islice(batches, WARM_UP_STEPS))
    # On a processor its own time counts, not that of whoever else uses it now.
    clock = _Clock(batches, time.process_time if device == "cpu" else time.perf_counter)
    take(clock)
    return clock.seconds / clock.steps, clock.steps


class _Clock:
    """Hands out batches for `TIMED_SECONDS`, one at least, and measures until the last has been used."""

    def __init__(self, batches: Batches, now: Callable[[], float]) -> None:
        self._batches = batches
        self._now = now
        self.steps = 0
        self.seconds = 0.0

    def __iter__(self) -> Batches:
        started = self._now()
        for batch in self._batches:
            if self.seconds > TIMED_SECONDS:
                return
            yield batch
            self.steps += 1
            self.seconds = self._now() - started
