import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from search_spaces.config import BranchConfig, TrainConfig, TrialConfig, TrunkConfig
from search_spaces.cost import branch_steps, duration_steps, epochs_after, steps_per_epoch, trial_epochs


def trial(**changes: object) -> TrialConfig:
    content: dict[str, object] = {
        "train": TrainConfig(lr=0.1, batch_size=100),
        "trunk": TrunkConfig(epochs=45, branch_every=15),
        "branch": BranchConfig(decay_epochs=8),
    }
    return TrialConfig.model_validate({**content, **changes})


def test_steps_per_epoch_counts_full_batches_only() -> None:
    assert steps_per_epoch(600, 64) == 9
    assert steps_per_epoch(64, 64) == 1
    with pytest.raises(ValueError, match="batch_size 65 is larger than the training set of 64"):
        steps_per_epoch(64, 65)


def test_durations_are_rounded_to_the_nearest_step_and_never_to_none() -> None:
    assert duration_steps(3, None, 9) == 27
    assert duration_steps(0.5, None, 9) == 4
    assert duration_steps(0.01, None, 9) == 1
    assert duration_steps(None, 7, 9) == 7


@pytest.mark.parametrize(("epochs", "steps"), [(None, None), (1.0, 1)])
def test_a_duration_is_given_exactly_once(epochs: float | None, steps: int | None) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        duration_steps(epochs, steps, 9)


def test_branch_points_are_the_multiples_up_to_the_end_included() -> None:
    assert branch_steps(TrunkConfig(epochs=45, branch_every=15), 9) == [135, 270, 405]
    assert branch_steps(TrunkConfig(epochs=50, branch_every=15), 9) == [135, 270, 405]
    assert branch_steps(TrunkConfig(steps=200_000, branch_every_steps=2_000), 1)[-1] == 200_000
    assert branch_steps(TrunkConfig(epochs=2, branch_every_steps=5), 7) == [5, 10]
    assert branch_steps(TrunkConfig(steps=14, branch_every=0.5), 7) == [4, 7, 10, 14]


def test_a_trunk_too_short_for_one_branch_point_is_refused_in_mixed_units() -> None:
    with pytest.raises(ValueError, match="branch_every is 20 steps, beyond the trunk's 14"):
        branch_steps(TrunkConfig(epochs=2, branch_every_steps=20), 7)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 500))
def test_whole_epochs_branch_at_whole_epochs(every: int, times: int, per_epoch: int) -> None:
    trunk = TrunkConfig(epochs=every * times, branch_every=every)
    assert branch_steps(trunk, per_epoch) == [every * per_epoch * k for k in range(1, times + 1)]


@example(0.7, 3.0, 15)
@given(st.floats(0.05, 50, allow_nan=False), st.floats(1, 40, allow_nan=False), st.integers(1, 400))
def test_branch_points_increase_and_stay_within_the_trunk(every: float, times: float, per_epoch: int) -> None:
    trunk = TrunkConfig(epochs=every * times, branch_every=every)
    assume(every * times * per_epoch >= 1)
    points = branch_steps(trunk, per_epoch)
    assert points == sorted(set(points))
    assert points[0] >= 1
    assert points[-1] <= duration_steps(trunk.epochs, None, per_epoch)


@given(st.integers(1, 9), st.integers(2, 5), st.integers(1, 40))
def test_a_shared_trunk_costs_its_length_and_every_branch_once(points: int, count: int, decay: int) -> None:
    shared = trial(
        trunk=TrunkConfig(epochs=10 * points, branch_every=10),
        branch=BranchConfig(decay_epochs=decay, count=count),
    )
    assert trial_epochs(shared, 600) == 10 * points + points * count * decay
    independent = shared.model_copy(update={"start": "independent"})
    assert trial_epochs(independent, 600) == count * (10 * points + points * decay)


def test_pretrained_starts_cost_their_branches_on_every_task() -> None:
    alone = trial(start="pretrained", trunk=None, branch=BranchConfig(decay_epochs=20, count=3))
    assert trial_epochs(alone, 600) == 60
    both = alone.model_copy(update={"tasks": (alone.task, alone.task)})
    assert trial_epochs(both, 600) == 120


def test_durations_in_steps_are_counted_in_epochs() -> None:
    config = trial(trunk=TrunkConfig(steps=600, branch_every_steps=300), branch=BranchConfig(decay_steps=30))
    assert trial_epochs(config, 600) == (600 + 2 * 2 * 30) / 6


def test_a_continued_branch_runs_to_the_budget() -> None:
    config = trial(
        train=TrainConfig(lr=0.1, batch_size=100, schedule="cosine", budget_epochs=60),
        branch=BranchConfig(decay="continue"),
    )
    assert trial_epochs(config, 600) == 45 + 2 * (45 + 30 + 15)


@given(st.integers(2, 9), st.integers(1, 8), st.integers(2, 4))
def test_what_is_left_after_a_branch_point_is_what_a_shorter_trunk_lacks(
    points: int, last: int, count: int
) -> None:
    assume(last <= points)
    branch = BranchConfig(decay_epochs=3, count=count)
    whole, first = (
        trial(trunk=TrunkConfig(epochs=5 * n, branch_every=5), branch=branch) for n in (points, last)
    )
    left = trial_epochs(whole, 1000) - trial_epochs(first, 1000)
    assert epochs_after(whole, 1000, 50 * last) == pytest.approx(left)


def test_what_is_left_ends_with_the_last_branch_point_and_the_budget() -> None:
    assert epochs_after(trial(trunk=TrunkConfig(epochs=50, branch_every=15)), 1000, 300) == 15 + 2 * 8
    train = TrainConfig(lr=0.1, batch_size=100, schedule="cosine", budget_epochs=60)
    continued = trial(train=train, branch=BranchConfig(decay="continue"))
    assert epochs_after(continued, 1000, 300) == 15 + 2 * 15
