"""What a trial costs: steps, branch points, and trained epochs, by arithmetic alone.

Notation: trunk N, branch points m, branches per point c, branch length D. A shared trunk costs N + m·c·D
epochs; independent starts, which share nothing, cost c·(N + m·D).
"""

from search_spaces.config import TrialConfig, TrunkConfig


def steps_per_epoch(train_size: int, batch_size: int) -> int:
    """Return the number of full batches in one epoch; examples that fill no batch wait for the next shuffle.

    Raises:
        ValueError: if the batch is larger than the training set.
    """
    if batch_size > train_size:
        raise ValueError(
            f"train/batch_size {batch_size} is larger than the training set of {train_size}; lower it"
        )
    return train_size // batch_size


def duration_steps(epochs: float | None, steps: int | None, steps_per_epoch: int) -> int:
    """Return a duration in steps, at least 1; `epochs` is rounded to the nearest step.

    Raises:
        ValueError: unless exactly one of `epochs` and `steps` is given.
    """
    return max(1, round(_exact_steps(epochs, steps, steps_per_epoch)))


def branch_steps(trunk: TrunkConfig, steps_per_epoch: int) -> list[int]:
    """Return the trunk steps to branch at: each multiple of `branch_every` up to the trunk's end.

    Raises:
        ValueError: if `branch_every` is beyond the trunk, which a config in mixed units can't know.
    """
    end = _exact_steps(trunk.epochs, trunk.steps, steps_per_epoch)
    every = max(1.0, _exact_steps(trunk.branch_every, trunk.branch_every_steps, steps_per_epoch))
    # Each multiple is rounded by itself, so that fractions of a step don't add up; 1e-9 forgives 3 * 0.1 > 0.3, and
    # the last one is not rounded up where the trunk's end, a hair below it, is rounded down.
    last = duration_steps(trunk.epochs, trunk.steps, steps_per_epoch)
    points = [min(round(index * every), last) for index in range(1, int(end / every + 1e-9) + 1)]
    if not points:
        raise ValueError(
            f"trunk/branch_every is {every:g} steps, beyond the trunk's {end:g}; branch earlier or train longer"
        )
    return points


def trial_epochs(config: TrialConfig, train_size: int) -> float:
    """Return how many epochs one trial trains: N + m·c·D with a shared trunk.

    Raises:
        ValueError: if the batch is larger than `train_size`, the trunk ends before it is branched, or a branch
            that is to continue the schedule begins at its end.
    """
    per_epoch = steps_per_epoch(train_size, config.train.batch_size)
    starts = [0] if config.trunk is None else branch_steps(config.trunk, per_epoch)
    shared = 0
    if config.trunk is not None:
        shared = _trunks(config) * duration_steps(config.trunk.epochs, config.trunk.steps, per_epoch)
    return (shared + _branched_steps(config, starts, per_epoch)) / per_epoch


def epochs_after(config: TrialConfig, train_size: int, step: int) -> float:
    """Return how many epochs one trial trains after its branch point at trunk step `step`, up to the last one."""
    assert config.trunk is not None
    per_epoch = steps_per_epoch(train_size, config.train.batch_size)
    later = [start for start in branch_steps(config.trunk, per_epoch) if start > step]
    if not later:
        return 0.0
    shared = _trunks(config) * (later[-1] - step)
    return (shared + _branched_steps(config, later, per_epoch)) / per_epoch


def _runs(config: TrialConfig) -> int:
    """Return how many branches start at one branch point."""
    return config.branch.count * max(1, len(config.tasks))


def _trunks(config: TrialConfig) -> int:
    return _runs(config) if config.start == "independent" else 1


def _branched_steps(config: TrialConfig, starts: list[int], per_epoch: int) -> int:
    """Return how many steps all branches from `starts` take.

    Raises:
        ValueError: if a branch that is to continue the schedule begins at its end.
    """
    branch, train = config.branch, config.train
    if branch.decay != "continue":
        length = duration_steps(branch.decay_epochs, branch.decay_steps, per_epoch)
        return _runs(config) * len(starts) * length
    budget = duration_steps(train.budget_epochs, train.budget_steps, per_epoch)
    if starts[-1] >= budget:
        raise ValueError(
            f"trunk: the branch at step {starts[-1]} has nothing left of the budget of {budget}; branch earlier"
        )
    return _runs(config) * sum(budget - start for start in starts)


def _exact_steps(epochs: float | None, steps: int | None, steps_per_epoch: int) -> float:
    if epochs is not None and steps is None:
        return epochs * steps_per_epoch
    if steps is not None and epochs is None:
        return float(steps)
    raise ValueError(f"name epochs or steps, exactly one; epochs is {epochs}, steps is {steps}")
