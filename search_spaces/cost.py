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
    # Each multiple is rounded by itself, so that fractions of a step don't add up; 1e-9 forgives 3 * 0.1 > 0.3.
    points = [round(index * every) for index in range(1, int(end / every + 1e-9) + 1)]
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
    branch, train = config.branch, config.train
    runs = branch.count * max(1, len(config.tasks))
    starts = [0] if config.trunk is None else branch_steps(config.trunk, per_epoch)
    if branch.decay == "continue":
        budget = duration_steps(train.budget_epochs, train.budget_steps, per_epoch)
        if starts[-1] >= budget:
            raise ValueError(
                f"trunk: the branch at step {starts[-1]} has nothing left of the budget of {budget}; branch earlier"
            )
        branched = sum(budget - start for start in starts)
    else:
        branched = len(starts) * duration_steps(branch.decay_epochs, branch.decay_steps, per_epoch)
    shared = 0
    if config.trunk is not None:
        trunks = runs if config.start == "independent" else 1
        shared = trunks * duration_steps(config.trunk.epochs, config.trunk.steps, per_epoch)
    return (shared + runs * branched) / per_epoch


def _exact_steps(epochs: float | None, steps: int | None, steps_per_epoch: int) -> float:
    if epochs is not None and steps is None:
        return epochs * steps_per_epoch
    if steps is not None and epochs is None:
        return float(steps)
    raise ValueError(f"name epochs or steps, exactly one; epochs is {epochs}, steps is {steps}")
