"""What the first branch points of running trials foretell, and what a search makes of it."""

import numpy as np
import pytest
from scipy import stats

from analysis.hump.posterior import HumpPosterior
from analysis.search.acquisition import Observations, suggest
from analysis.search.fidelity import foretell

NOTHING = (pytest.approx(np.nan, nan_ok=True), np.inf)


@pytest.fixture
def complete():
    """Ten trials with three views each: noise scales, views, and what they ended with."""
    rng = np.random.default_rng(0)
    early = rng.uniform(0.2, 1.0, 10)
    gain = 0.1 + 1.2 * early + 0.05 * rng.standard_normal(10)
    views = [{1: e, 2: (e + y) / 2, 3: y} for e, y in zip(early, gain, strict=True)]
    return np.linspace(-4, 0, 10), views, gain


def test_a_trial_is_foretold_by_the_line_through_the_same_views_of_others(complete):
    x, views, gain = complete
    early = np.array([each[1] for each in views])
    line = stats.linregress(early, gain)
    residual = ((gain - line.intercept - line.slope * early) ** 2).sum() / 8
    spread = 1 + 1 / 10 + (0.3 - early.mean()) ** 2 / ((early - early.mean()) ** 2).sum()
    value, error = foretell({1: 0.3}, views, x, gain)
    assert value == pytest.approx(line.intercept + 0.3 * line.slope)
    assert error == pytest.approx(np.sqrt(residual * spread) * stats.t(8).std())
    later, smaller = foretell({1: 0.3, 2: 0.4}, views, x, gain)
    assert smaller == pytest.approx(error / 2, rel=0.3)
    assert later == pytest.approx(0.45, abs=3 * smaller)


def test_without_views_or_trials_to_compare_with_nothing_is_foretold(complete):
    x, views, gain = complete
    assert foretell({}, views, x, gain) == NOTHING
    assert foretell({1: 0.5, 2: np.nan}, views, x, gain) == NOTHING
    assert foretell({4: 0.5}, views, x, gain) == NOTHING
    assert foretell({1: 0.5}, views[:7], x[:7], gain[:7]) == NOTHING
    assert foretell({1: 0.5}, [], [], []) == NOTHING


def test_trials_that_were_ended_or_collapsed_are_not_learned_from(complete):
    x, views, gain = complete
    ended, collapsed, low = {1: 0.5}, {1: 0.5, 2: np.nan, 3: np.nan}, views[0]
    more = [*views, ended, collapsed, low]
    found = foretell({1: 0.3}, more, np.append(x, [-3, -2, -1]), np.append(gain, [9.0, 9.0, np.nan]))
    assert found == pytest.approx(foretell({1: 0.3}, views, x, gain))


def bell(n, rng):
    x = np.linspace(-3.6, -0.4, n)
    return x, np.exp(-0.5 * ((x + 2) / 0.6) ** 2) + 0.1 * rng.standard_normal(n)


def fit(x, y, **settings):
    no = np.zeros(len(x), bool)
    return HumpPosterior.fit(x, y, no, no, np.random.default_rng(0), **settings)


def test_errors_of_zero_change_nothing_at_all():
    x, y = bell(16, np.random.default_rng(0))
    np.testing.assert_array_equal(fit(x, y).theta, fit(x, y, error=np.zeros(16)).theta)


def test_what_is_foretold_counts_by_its_error_and_not_towards_the_scale():
    x, y = bell(14, np.random.default_rng(0))
    plain, moved = fit(x, y), []
    for error in (0.01, 0.3, 10.0):
        errors = np.append(np.zeros(14), np.full(3, error))
        found = fit(np.append(x, [-1.3, -1.2, -1.1]), np.append(y, [1.3, 1.3, 1.3]), error=errors)
        assert found.scale == plain.scale
        moved.append(np.median(found.argmax_draws) - np.median(plain.argmax_draws))
    assert moved[0] > 2 * moved[1] > 2 * abs(moved[2])


@pytest.mark.parametrize(("gain", "low", "high"), [(-6.0, -1.8, -1.5), (1.0, -1.5, -1.2)])
def test_a_view_inside_the_gap_of_a_cliff_says_in_which_half_to_go_on(gain, low, high):
    x = np.array([-3.6, -2.9, -2.5, -2.1, -1.8, -1.2, -0.8, -0.3])
    y = np.where(x < -1.5, np.exp(-0.5 * ((x + 1.5) / 0.8) ** 2), -6.0)
    trials = Observations.of(x, y, ["ok"] * 8).with_foretold([-1.5, -2.0], [gain, np.nan], [0.1, np.inf])
    assert len(trials.x) == 9
    for seed in range(4):
        rng = np.random.default_rng(seed)
        found = suggest(trials, [-1.5, -2.0], -4.0, 0.0, rng)
        assert low - 0.01 < found < high + 0.01
