"""Learning rates by step. A schedule is a function of the absolute step, so training resumes anywhere.

Notation: η the configured lr, t the absolute step, T the schedule's budget, t₀ the branch point, D the length of
a decay, all in steps.
"""

import math
from collections.abc import Callable

from search_spaces.config import BranchConfig, TrainConfig
from search_spaces.cost import duration_steps

Schedule = Callable[[int], float]


def trunk_schedule(train: TrainConfig, steps_per_epoch: int) -> Schedule:
    """Return the trunk's lr by step: η constant, wsd (√ decay over the last D of T steps) or cosine over T.

    Warm-up is linear over `warmup_epochs`: step t of W has η (t + 1) / W, times the schedule.

    Source: Zhang et al. (2026), A.1 and E.1; Hägele et al. (2024) for the √ decay.
    """
    lr = train.resolved_lr
    warmup = round(train.warmup_epochs * steps_per_epoch)
    course = _course(train, steps_per_epoch)
    return lambda step: lr * _warm(step, warmup) * course(step)


def branch_schedule(
    train: TrainConfig, branch: BranchConfig, start: int, steps_per_epoch: int
) -> tuple[Schedule, int]:
    """Return the lr by absolute step of a branch that begins at step `start`, and the step at which it ends.

    It decays the trunk's lr at `start` over D steps: sqrt is 1 − √((t − t₀)/D), linear 1 − (t − t₀)/D, cosine
    ½(1 + cos π(t − t₀)/D), constant 1; `continue` is the trunk's own schedule up to T.

    Raises:
        ValueError: if `continue` has nothing left of its budget at `start`.

    Source: Zhang et al. (2026), A.1.
    """
    trunk = trunk_schedule(train, steps_per_epoch)
    if branch.decay == "continue":
        end = duration_steps(train.budget_epochs, train.budget_steps, steps_per_epoch)
        if end <= start:
            raise ValueError(f"branch at step {start}: the budget of {end} steps is spent; branch earlier")
        return trunk, end
    length = duration_steps(branch.decay_epochs, branch.decay_steps, steps_per_epoch)
    warmup = round(branch.warmup_epochs * steps_per_epoch)
    lr, decay = trunk(start), DECAYS[branch.decay]
    return lambda step: lr * _warm(step - start, warmup) * decay((step - start) / length), start + length


DECAYS: dict[str, Callable[[float], float]] = {
    "sqrt": lambda progress: 1.0 - math.sqrt(progress),
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "constant": lambda progress: 1.0,
}
"""Progress in [0, 1) → factor of the lr."""


def _warm(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def _course(train: TrainConfig, steps_per_epoch: int) -> Schedule:
    if train.schedule == "constant":
        return lambda step: 1.0
    budget = duration_steps(train.budget_epochs, train.budget_steps, steps_per_epoch)
    if train.schedule == "cosine":
        return lambda step: DECAYS["cosine"](min(1.0, step / budget))
    decay = duration_steps(train.decay_epochs, None, steps_per_epoch)
    return lambda step: DECAYS["sqrt"](min(1.0, max(0.0, (step - budget + decay) / decay)))
