import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.config import BranchConfig, TrainConfig
from sweeper.training import branch_schedule, trunk_schedule

PER_EPOCH = 10
ABOUT = {"rel": 1e-12, "abs": 1e-15}


@given(kind=st.sampled_from(["sqrt", "linear", "cosine", "constant"]), length=st.integers(1, 60))
def test_a_branch_decays_the_trunks_lr_from_where_it_starts(kind, length):
    train, start = TrainConfig(lr=0.3), 25
    schedule, end = branch_schedule(train, BranchConfig(decay=kind, decay_steps=length), start, PER_EPOCH)
    assert end == start + length
    expected = [0.3 * factor for factor in reference.decay(kind, length)]
    assert [schedule(step) for step in range(start, end)] == pytest.approx(expected, **ABOUT)


@given(
    schedule=st.sampled_from(["constant", "wsd", "cosine"]),
    epochs=st.integers(2, 6),
    decay=st.integers(1, 2),
    warmup=st.integers(0, 15),
)
def test_the_trunks_lr_is_constant_wsd_or_cosine_after_a_linear_warm_up(schedule, epochs, decay, warmup):
    budget = epochs * PER_EPOCH
    settings = {} if schedule == "constant" else {"budget_epochs": epochs}
    if schedule == "wsd":
        settings["decay_epochs"] = decay
    train = TrainConfig(lr=0.2, schedule=schedule, warmup_epochs=warmup / PER_EPOCH, **settings)
    factors = {
        "constant": [1.0] * budget,
        "wsd": reference.wsd(budget, decay * PER_EPOCH),
        "cosine": reference.decay("cosine", budget),
    }[schedule]
    expected = [0.2 * factor for factor in reference.warmed_up(factors, warmup)]
    rates = trunk_schedule(train, PER_EPOCH)
    assert [rates(step) for step in range(budget)] == pytest.approx(expected, **ABOUT)


def test_a_branch_warms_up_anew():
    branch = BranchConfig(decay_steps=20, warmup_epochs=0.5)
    schedule, end = branch_schedule(TrainConfig(lr=0.2), branch, 7, PER_EPOCH)
    expected = [0.2 * factor for factor in reference.warmed_up(reference.decay("sqrt", 20), 5)]
    assert [schedule(step) for step in range(7, end)] == pytest.approx(expected, **ABOUT)


def test_a_branch_decays_from_where_the_trunks_schedule_is():
    train = TrainConfig(lr=0.2, schedule="cosine", budget_steps=40)
    schedule, _ = branch_schedule(train, BranchConfig(decay="linear", decay_steps=10), 20, PER_EPOCH)
    assert schedule(20) == pytest.approx(0.1)
    assert schedule(25) == pytest.approx(0.05)


def test_continue_follows_the_trunk_to_its_budget():
    train = TrainConfig(lr=0.2, schedule="wsd", budget_steps=40, decay_epochs=1)
    schedule, end = branch_schedule(train, BranchConfig(decay="continue"), 20, PER_EPOCH)
    assert end == 40
    trunk = trunk_schedule(train, PER_EPOCH)
    assert [schedule(step) for step in range(20, end)] == [trunk(step) for step in range(20, end)]


def test_continue_beyond_the_budget_is_refused():
    train = TrainConfig(lr=0.2, schedule="cosine", budget_steps=40)
    with pytest.raises(ValueError, match="step 40: the budget of 40 steps is spent; branch earlier"):
        branch_schedule(train, BranchConfig(decay="continue"), 40, PER_EPOCH)
