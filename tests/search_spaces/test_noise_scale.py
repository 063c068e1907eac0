import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import adam_noise_scale, intrinsic_lr, lr_for_noise_scale, noise_scale
from search_spaces.config import TrainConfig

rates = st.floats(1e-8, 1e3)
batches = st.integers(1, 65536)
momenta = st.floats(0, 0.999)


def test_noise_scale_meets_the_value_worked_by_hand() -> None:
    assert noise_scale(lr=0.2, batch_size=128, momentum=0.9) == 1.5625e-2
    assert noise_scale(lr=0.2, batch_size=128, momentum=0.0) == 1.5625e-3
    assert lr_for_noise_scale(1.5625e-2, batch_size=128, momentum=0.9) == 0.2
    assert intrinsic_lr(0.1, 5e-4) == pytest.approx(5e-5, rel=1e-15)
    assert adam_noise_scale(1e-3, 16) == 2.5e-4
    assert adam_noise_scale(1e-3, 16, exponent=1.0) == 6.25e-5


@given(rates, batches, momenta)
def test_lr_for_noise_scale_inverts_noise_scale(lr: float, batch_size: int, momentum: float) -> None:
    scale = noise_scale(lr, batch_size, momentum)
    assert lr_for_noise_scale(scale, batch_size, momentum) == pytest.approx(lr, rel=1e-14)


@given(rates, st.integers(1, 1000), momenta)
def test_doubling_batch_and_lr_together_keeps_the_noise_scale(
    lr: float, batch_size: int, momentum: float
) -> None:
    doubled = noise_scale(2 * lr, 2 * batch_size, momentum)
    assert doubled == pytest.approx(noise_scale(lr, batch_size, momentum), rel=1e-9)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_outside_its_interval_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        noise_scale(0.1, 64, momentum)


def test_empty_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 0"):
        noise_scale(0.1, 0, 0.9)
    with pytest.raises(ValueError, match="batch_size 0"):
        adam_noise_scale(0.1, 0)


@given(rates, batches, momenta)
def test_a_config_derives_whichever_of_lr_and_noise_scale_it_lacks(
    lr: float, batch_size: int, momentum: float
) -> None:
    by_lr = TrainConfig(lr=lr, batch_size=batch_size, momentum=momentum)
    by_noise = TrainConfig(noise_scale=by_lr.resolved_noise_scale, batch_size=batch_size, momentum=momentum)
    assert by_lr.resolved_lr == lr
    assert by_noise.resolved_lr == float(f"{lr:.12g}"), "one key in the store, however lr was spelled"


def test_adamw_reports_the_square_root_proxy() -> None:
    config = TrainConfig(optimizer="adamw", lr=1e-3, batch_size=16)
    assert config.resolved_noise_scale == 2.5e-4
