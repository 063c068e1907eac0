"""How the branches of a branch point are trained on one device: one by one, or all at once; and which is faster."""

import time
from dataclasses import dataclass
from typing import Literal

import torch

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from sweeper.data import Task
from sweeper.models import build_model
from sweeper.training.fused import CannotFuse, Fused
from sweeper.training.state import state_of
from sweeper.training.trainers import Course, NewTrainer, Separate

Replicas = Literal["separate", "fused"]
TRAINERS: dict[Replicas, NewTrainer] = {"separate": Separate, "fused": Fused}

ROUNDS = 5
WARM_UP_STEPS = 2
ROUND_SECONDS = 0.2
"""About how long one arm of a round takes; at least one step."""
MOST_STEPS = 40


@dataclass(frozen=True)
class Choice:
    """The faster way, and what a step of all branches of a branch point costs each way."""

    replicas: Replicas
    seconds: dict[Replicas, float]
    """Medians are for benchmarks: these are minima, which other work on the machine disturbs least."""
    reason: str = ""
    """Why the network can't be fused; empty if it can."""


def speed_identity(config: TrialConfig) -> dict[str, object]:
    """Return what of a trial's settings the speed of its steps depends on."""
    content = config.model_dump(mode="json")
    names = ("optimizer", "batch_size", "augment", "precision")
    train = {name: content["train"][name] for name in names}
    return {"task": content["task"], "model": content["model"], "count": config.branch.count, **train}


def faster(config: TrialConfig, task: Task, device: torch.device | str = "cpu") -> Choice:
    """Time a few steps of all branches at once both ways, in turn, on the real task, and choose."""
    dtype = torch.float64 if config.train.precision == "float64" else torch.float32
    network = build_model(config.model.name, arguments(config.model), task, config.seed, dtype, device)
    # At a learning rate of 0 nothing diverges, and a step costs the same.
    courses = [
        Course(state_of(network), seed, lambda step: 0.0, config.train) for seed in range(config.branch.count)
    ]
    # On a single-threaded processor its own time counts, not that of whoever else uses it now.
    alone = torch.device(device).type == "cpu" and torch.get_num_threads() == 1
    now = time.process_time if alone else time.perf_counter

    def cost(replicas: Replicas, steps: int) -> float:
        started = now()
        TRAINERS[replicas](network, task).train(courses, 0, steps)
        return (now() - started) / steps

    try:
        warm = max(cost(replicas, WARM_UP_STEPS) for replicas in TRAINERS)
    except CannotFuse as error:
        return Choice("separate", {}, str(error))
    steps = max(1, min(MOST_STEPS, round(ROUND_SECONDS / warm)))
    rounds = [{replicas: cost(replicas, steps) for replicas in TRAINERS} for _ in range(ROUNDS)]
    seconds = {replicas: min(each[replicas] for each in rounds) for replicas in TRAINERS}
    return Choice(min(seconds, key=lambda replicas: seconds[replicas]), seconds)
