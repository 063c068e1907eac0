"""The critical point: planted humps are recovered with stated coverage, whatever the unit of gain."""

import humps
import numpy as np
import pandas as pd
import pytest
from hump_coverage import estimate, points

from analysis.critical_point import critical_point


def numbers(point):
    """Every number that says where the peak is."""
    places = [point.noise_scale, point.low, point.high, point.gp.noise_scale, point.gp.low, point.gp.high]
    return np.array([*places, point.two_lines.break_at, point.two_lines.p_low, point.hump_probability])


def gains(point):
    slopes = [point.two_lines.slope_low, point.two_lines.slope_high]
    return np.array([point.gain, point.gain_low, point.gain_high, point.regret, *slopes])


@pytest.fixture
def planted():
    return humps.unequal_widths(np.random.default_rng(8))


@pytest.mark.parametrize("family", ["logistic_exponential", "cliff_negative"])
@pytest.mark.parametrize("unit", [0.01, 0.0367, 1000.0])
def test_the_unit_of_gain_does_not_matter(family, unit):
    planted = humps.FAMILIES[family](np.random.default_rng(4))
    percent = critical_point(10**planted.x, planted.gain)
    other = critical_point(10**planted.x, unit * planted.gain)
    np.testing.assert_allclose(numbers(other), numbers(percent), rtol=1e-6)
    np.testing.assert_allclose(gains(other), unit * gains(percent), rtol=1e-6)


def test_neither_the_order_of_rows_nor_the_container_matters(planted):
    order = np.random.default_rng(1).permutation(len(planted.x))
    frame = pd.DataFrame({"S": 10 ** planted.x[order], "gain": planted.gain[order]}, index=order)
    one, other = critical_point(list(10**planted.x), planted.gain), critical_point(frame["S"], frame["gain"])
    np.testing.assert_array_equal(numbers(one), numbers(other))
    np.testing.assert_array_equal(one.draws, other.draws)


def test_the_seed_decides_everything(planted):
    one, same, other = (critical_point(10**planted.x, planted.gain, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.draws, same.draws)
    np.testing.assert_array_equal(numbers(one), numbers(same))
    assert not np.array_equal(one.draws, other.draws)


@pytest.mark.parametrize("family", humps.FAMILIES)
def test_the_answer_is_coherent(family):
    planted = humps.FAMILIES[family](np.random.default_rng(12))
    point = estimate(planted, seed=0)
    assert 10 ** planted.x.min() <= point.noise_scale <= 10 ** planted.x.max()
    assert point.low <= point.noise_scale <= point.high
    assert point.interior == (10 ** planted.x.min() <= point.low and point.high <= 10 ** planted.x.max())
    assert point.gain_low <= point.gain <= point.gain_high
    assert point.regret >= 0
    assert (point.curve.low <= point.curve.high).all()
    assert np.interp(point.noise_scale, point.curve.noise_scale, point.curve.mean) == pytest.approx(
        point.gain
    )
    assert point.hump == (point.hump_probability > 0.9)
    # The planted peak is 1.0 to 1.3 high.
    assert 0.7 < point.gain < 1.6


@pytest.mark.parametrize("family", ["logistic_exponential", "quadratic_in_noise", "cliff_diverged"])
def test_a_planted_hump_is_recovered(family):
    found = list(points(humps.FAMILIES[family], repeats=12, trials=24))
    covered = [p.low <= 10**planted.truth <= p.high for planted, p in found]
    # At 95% coverage fewer than 9 of 12 would happen once in 5,000 draws of the seeds.
    assert sum(covered) >= 9
    assert sum(p.hump for _, p in found) >= 11
    # Knowing nothing, the median of the range, the estimate would be off by .4 decades on average.
    assert np.median([abs(np.log10(p.noise_scale) - planted.truth) for planted, p in found]) < 0.25


@pytest.mark.parametrize("null", humps.NULLS)
def test_no_hump_is_claimed_where_there_is_none(null):
    found = list(points(humps.NULLS[null], repeats=8, trials=24))
    assert not any(p.hump for _, p in found)
    assert not any(p.interior for _, p in found)


def test_a_cliff_right_after_the_peak_is_covered():
    x = np.array([-4, -3.6, -3.3, -3.1, -2.8, -2.5, -2.3, -2.1, -1.7, -1.5, -1.2, -0.9])
    gain = np.where(x < -2, 1.2 + 0.3 * (x + 2.1), np.nan)
    point = critical_point(10**x, gain)
    # The peak is anywhere between the last good trial and the first diverged one.
    assert point.low <= 10**-2.1
    assert point.high >= 10**-1.72
    assert point.point == "most_mass"
    assert point.hump


def test_a_smooth_peak_is_the_least_regret_point(planted):
    assert critical_point(10**planted.x, planted.gain).point == "least_regret"


def test_a_hump_of_losses_is_found_below_zero():
    # A barrier: every merge is worse than its endpoints, some less so.
    errors, inside = [], 0
    for seed in range(6):
        planted = humps.symmetric(np.random.default_rng([2, seed]))
        point = critical_point(10**planted.x, planted.gain - 5)
        errors.append(abs(np.log10(point.noise_scale) - planted.truth))
        inside += point.low <= 10**planted.truth <= point.high
    assert inside >= 5
    assert np.median(errors) < 0.25


class TestStatus:
    def test_a_diverged_trial_is_low_whatever_its_number(self, planted):
        status = np.where(planted.x > planted.truth + 0.5, "diverged", "ok")
        as_status = critical_point(10**planted.x, planted.gain, status=status)
        as_nan = critical_point(10**planted.x, np.where(status == "ok", planted.gain, np.nan))
        np.testing.assert_array_equal(numbers(as_status), numbers(as_nan))

    def test_divergence_is_evidence(self, planted):
        # The left side alone leaves open whether the gain falls at all; diverged trials to the right settle it.
        left = planted.x < planted.truth + 0.1
        alone = critical_point(10 ** planted.x[left], planted.gain[left])
        settled = critical_point(10**planted.x, np.where(left, planted.gain, np.nan))
        assert np.quantile(alone.draws, 0.975) > settled.high
        assert (alone.finding, settled.finding) == ("upper edge", "peak")
        assert settled.hump_probability > alone.hump_probability

    def test_a_failed_trial_is_left_out(self, planted):
        status = np.where(np.arange(24) < 5, "failed", "ok")
        failed = critical_point(10**planted.x, planted.gain, status=status)
        absent = critical_point(10 ** planted.x[5:], planted.gain[5:])
        assert failed.n == 19
        np.testing.assert_array_equal(numbers(failed), numbers(absent))

    def test_the_zeros_of_untrained_networks_are_no_peak(self):
        # Every gain is negative, so that the zeros at chance are the largest numbers of all.
        planted = humps.symmetric(np.random.default_rng(2))
        at_chance = planted.x > planted.truth + 0.8
        gain = np.where(at_chance, 0.0, planted.gain - 5)
        point = critical_point(10**planted.x, gain, status=np.where(at_chance, "at_chance", "ok"))
        assert at_chance.sum() >= 3
        assert point.low <= 10**planted.truth <= point.high
        assert point.noise_scale < 10 ** planted.x[at_chance].min()


class TestTrials:
    def test_rows_of_one_trial_are_one_observation(self, planted):
        spread = np.array([0.25, -0.125, -0.125])
        rows = critical_point(
            np.repeat(10**planted.x, 3),
            (planted.gain[:, None] + spread).ravel(),
            group=np.repeat([f"trial-{i}" for i in range(24)], 3),
        )
        assert rows.n == 24
        np.testing.assert_allclose(
            numbers(rows), numbers(critical_point(10**planted.x, planted.gain)), rtol=1e-6
        )

    def test_a_trial_that_diverged_later_is_diverged(self, planted):
        twice = np.repeat(10**planted.x, 2)
        late = np.repeat(planted.x > planted.truth + 0.5, 2) & (np.arange(48) % 2 == 1)
        gain = np.where(late, np.nan, np.repeat(planted.gain, 2))
        rows = critical_point(twice, gain, group=np.repeat(np.arange(24), 2))
        trials = critical_point(
            10**planted.x, np.where(planted.x > planted.truth + 0.5, np.nan, planted.gain)
        )
        np.testing.assert_allclose(numbers(rows), numbers(trials), rtol=1e-6)

    def test_what_was_measured_before_learning_does_not_dilute_a_trial(self, planted):
        rows = critical_point(
            np.repeat(10**planted.x, 2),
            np.column_stack([np.zeros(24), planted.gain]).ravel(),
            group=np.repeat(np.arange(24), 2),
            status=np.tile(["at_chance", "ok"], 24),
        )
        np.testing.assert_allclose(
            numbers(rows), numbers(critical_point(10**planted.x, planted.gain)), rtol=1e-6
        )

    def test_known_errors_widen_the_answer(self):
        # Gains that happen to lie on a smooth curve look more exact than they are known to be.
        x = np.linspace(-3.5, -0.5, 16)
        gain = np.exp(-0.5 * ((x + 2) / 0.6) ** 2)
        sure = critical_point(10**x, gain, sem=np.full(16, 1e-6))
        unsure = critical_point(10**x, gain, sem=np.full(16, 0.3))
        assert unsure.gain_high - unsure.gain_low > 2 * (sure.gain_high - sure.gain_low)
        assert np.log(unsure.high / unsure.low) > 2 * np.log(sure.high / sure.low)

    def test_the_error_of_a_trial_is_that_of_its_mean(self):
        x = np.linspace(-3.5, -0.5, 8)
        gain = np.exp(-0.5 * ((x + 2) / 0.6) ** 2)
        rows = critical_point(
            np.repeat(10**x, 4), np.repeat(gain, 4), sem=np.full(32, 0.4), group=np.repeat(np.arange(8), 4)
        )
        np.testing.assert_allclose(
            numbers(rows), numbers(critical_point(10**x, gain, sem=np.full(8, 0.2))), rtol=1e-6
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"noise_scale": [0.1] * 6, "gain": [1.0] * 5},
            "gain has 5 values and noise_scale 6: give one per row",
        ),
        ({"noise_scale": [0.1] * 5, "gain": [1.0] * 5, "sem": [0.1]}, "sem has 1 values and noise_scale 5"),
        ({"noise_scale": [0.1, 0.2], "gain": [1.0, 2.0]}, "at least 5 trials, got 2"),
        (
            {"noise_scale": [0.1] * 6, "gain": [1.0] * 6, "group": [1, 1, 2, 2, 3, 3]},
            "at least 5 trials, got 3",
        ),
        (
            {"noise_scale": [0.1] * 5, "gain": [1.0] * 5, "status": ["failed"] + ["ok"] * 4},
            "at least 5 trials, got 4",
        ),
        ({"noise_scale": [0.1, 0.2, 0.0, 0.3, 0.4], "gain": [1.0] * 5}, r"noise_scale 0\.0 is not positive"),
        ({"noise_scale": [0.1] * 5, "gain": [np.nan] * 5}, "none of 5 trials has a gain"),
        (
            {"noise_scale": [0.1] * 5, "gain": [0.0] * 5, "status": ["at_chance"] * 5},
            "none of 5 trials has a gain",
        ),
    ],
)
def test_wrong_arguments_get_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        critical_point(**arguments)
    assert "\n" not in str(error.value)
