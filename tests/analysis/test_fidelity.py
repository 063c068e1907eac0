"""Early branch points foretell the mean over all; ending hopeless trials on that leaves S* where it is."""

import humps
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.search.acquisition import Observations, suggest
from analysis.search.fidelity import Trend, collapse_is_final
from analysis.table import trial_gains

POINTS = 4
GROWTH = np.linspace(0.6, 1.0, POINTS)
"""Gains at the first branch points, relative to those at the last."""
TRIALS = 24


def bell(u, left=0.8, right=0.4):
    """A hump that falls off a cliff .9 decades past its peak."""
    return np.where(u > 0.9, -8.0, np.exp(-0.5 * (u / np.where(u < 0, left, right)) ** 2))


def staged(name, rng, trials=TRIALS):
    """Return log10 S (n,) and gains at each branch point (n, 4); "drift…": the peak moves by .1 decade on the way."""
    if name in humps.FAMILIES:
        planted = humps.FAMILIES[name](rng, trials)
        x, gains = planted.x, planted.gain[:, None] * GROWTH
    else:
        way = {"drifts right": 1.0, "drifts left": -1.0}[name]
        x = rng.uniform(-4, 0, trials)
        peak = rng.uniform(-2.8, -1.2) + way * np.linspace(-0.1, 0.0, POINTS)
        gains = 1.15 * GROWTH * bell(x[:, None] - peak)
    return x, gains + 0.15 * rng.standard_normal((trials, POINTS))


def ended_after(x, gains, complete):
    """Return after how many branch points a trial at x is ended, given complete ones, and what is told of it."""
    places, known = complete
    for count in range(1, POINTS):
        trend = Trend.fit(places, known[:, :count].mean(axis=1), known.mean(axis=1))
        early = gains[:count].mean()
        if trend is not None and trend.hopeless(early):
            return count, float(trend.predict(early)[0])
    return POINTS, float(gains.mean())


def run_through(x, gains):
    """Return what is told of trials that run one after the other, and the share of branch points left out."""
    told, taken, complete = [], [], []
    for index in range(len(x)):
        count, value = ended_after(x[index], gains[index], (x[complete], gains[complete]))
        if count == POINTS:
            complete.append(index)
        told.append(value)
        taken.append(count)
    return np.array(told), 1 - np.mean(taken) / POINTS


def posterior(x, y, seed=0):
    return Observations.of(x, y, np.where(np.isfinite(y), "ok", "diverged")).posterior(
        np.random.default_rng(seed)
    )


def test_the_trend_is_least_squares_with_its_prediction_error():
    rng = np.random.default_rng(0)
    early = rng.uniform(0.1, 1.0, 12)
    full = 0.1 + 1.2 * early + 0.05 * rng.standard_normal(12)
    trend = Trend.fit(rng.uniform(-4, 0, 12), early, full)
    line = stats.linregress(early, full)
    value, error = trend.predict(0.3)
    assert value == pytest.approx(line.intercept + 0.3 * line.slope)
    # Two independent ways: the error of the line at .3, and one trial's own noise.
    residual = np.sqrt(((full - line.intercept - line.slope * early) ** 2).sum() / 10)
    at = np.hypot(line.intercept_stderr, 0.3 * line.stderr)
    at = np.sqrt(at**2 - 2 * 0.3 * early.mean() * line.stderr**2)
    assert error == pytest.approx(np.hypot(residual, at))


@pytest.mark.parametrize("unit", [1.0, 100.0, 0.003])
def test_a_trial_is_hopeless_far_below_the_floor_only_and_in_any_unit(unit):
    x = np.linspace(-4, 0, 20)
    rng = np.random.default_rng(1)
    full = bell(x + 2) + 0.05 * rng.standard_normal(20)
    trend = Trend.fit(x, unit * (0.7 * full + 0.03 * rng.standard_normal(20)), unit * full)
    assert trend.hopeless(-1.0 * unit)
    assert not trend.hopeless(0.15 * unit)
    assert not trend.hopeless(0.6 * unit)
    assert trend.predict(0.7 * unit)[0] == pytest.approx(unit, rel=0.1)


def test_with_few_complete_trials_or_equal_views_there_is_no_trend():
    x = np.linspace(-4, 0, 12)
    full = bell(x + 2)
    for count in (7, 8):
        lost = np.where(np.arange(12) < count, full, np.nan)
        assert (Trend.fit(x, 0.7 * lost, lost) is None) == (count == 7)
    assert Trend.fit(x, np.ones(12), full) is None


def test_a_collapse_is_final_beyond_two_others_and_before_no_survivor():
    x, lost = np.array([-1.0, -3.0, -0.5, -1.4]), np.array([True, False, True, True])
    assert collapse_is_final(-0.2, x, lost)
    assert collapse_is_final(-0.7, x, lost)
    assert not collapse_is_final(-1.2, x, lost)
    assert not collapse_is_final(-3.5, x, lost)
    assert not collapse_is_final(-0.7, np.append(x, 0.0), np.append(lost, False))
    assert not collapse_is_final(-0.2, x[:0], lost[:0])


def check_unmoved(name, seeds):
    """Compare S* of trials of which hopeless ones are ended with S* of all of them in full; return what that saves."""
    shifts, saved = [], []
    for seed in seeds:
        x, gains = staged(name, np.random.default_rng(seed))
        told, share = run_through(x, gains)
        places = [np.median(posterior(x, y).argmax_draws) for y in (told, gains.mean(axis=1))]
        shifts.append(places[0] - places[1])
        saved.append(share)
    # The sampler's own seed moves it by .03 to .08.
    assert np.sqrt(np.mean(np.square(shifts))) < np.log10(1.25)
    assert np.median(np.abs(shifts)) < 0.02
    return float(np.mean(saved))


def test_ending_trials_leaves_the_peak_where_it_is():
    assert check_unmoved("drifts right", range(4)) > 0.1
    assert check_unmoved("cliff_negative", range(4)) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["unequal_widths", "cliff_negative", "cliff_diverged", "symmetric", "student_t", "plateau",
     "logistic_exponential", "drifts left", "drifts right"],
)  # fmt: skip
def test_ending_trials_leaves_the_peak_where_it_is_in_every_family(name):
    check_unmoved(name, range(25))


def cliff(u):
    """A hump that falls off a cliff right after its peak."""
    return np.where(u > 0, -8.0, np.exp(-0.5 * (u / 0.8) ** 2))


def search(shape, seed, early_stop, trials=TRIALS):
    """Return how far a search's S* is from the peak, in decades, and the share of branch points left out."""
    peak = np.random.default_rng(seed).uniform(-2.8, -1.2)
    ways = peak + np.linspace(-0.1, 0.0, POINTS)
    grid = np.linspace(-4, 0, 4001)
    truth = grid[(GROWTH * shape(grid[:, None] - ways)).mean(axis=1).argmax()]
    x, gains, told, complete, taken = np.empty(0), np.empty((0, POINTS)), np.empty(0), [], 0
    for number in range(trials):
        known = Observations.of(x, told, np.full(len(x), "ok"))
        place = suggest(known, np.empty(0), -4.0, 0.0, np.random.default_rng([seed, number]))
        own = 1.15 * GROWTH * shape(place - ways)
        own = own + 0.15 * np.random.default_rng([seed, number, 1]).standard_normal(POINTS)
        count, value = (
            ended_after(place, own, (x[complete], gains[complete])) if early_stop else (POINTS, own.mean())
        )
        if count == POINTS:
            complete.append(number)
        x, gains, told = np.append(x, place), np.vstack([gains, own]), np.append(told, value)
        taken += count
    found = float(np.median(posterior(x, told).argmax_draws))
    return abs(found - truth), 1 - taken / (trials * POINTS)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "saved"), [(bell, 0.0), (cliff, 0.1)])
def test_searches_that_end_trials_find_the_peak_as_well_with_fewer_epochs(shape, saved):
    ended, full = (np.array([search(shape, seed, early) for seed in range(6)]) for early in (True, False))
    assert ended[:, 0].mean() < full[:, 0].mean() + 0.03
    assert ended[:, 1].mean() > saved


def records(x, gains, counts):
    """Selected rows: one pair per branch point; trial i has the first counts[i]. Batch sizes differ."""
    size = np.where(np.arange(len(x)) % 2, 10, 20)
    rows = [
        {
            "run": "r", "trial": f"t{i:02d}", "branch_step": (k + 1) * 2 * (203 // size[i]), "noise_scale": 10**x[i],
            "lr": 0.1, "batch_size": size[i], "momentum": 0.9, "weight_decay": 0.0, "augment": "none",
            "gain": gains[i, k], "status": "ok",
        }
        for i in range(len(x))
        for k in range(counts[i])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_trial_with_only_the_first_branch_points_counts_with_what_they_foretell():
    x, gains = staged("drifts right", np.random.default_rng(5))
    counts = np.full(TRIALS, POINTS)
    counts[[3, 8, 15]] = 1, 2, 1
    short = counts < POINTS
    curve = trial_gains(records(x, gains, counts)).set_index("trial").sort_index()
    whole = trial_gains(records(x, gains, np.full(TRIALS, POINTS))).set_index("trial").sort_index()
    pd.testing.assert_frame_equal(curve[~short][["gain", "n"]], whole[~short][["gain", "n"]])
    assert (curve["n"] == counts).all()
    for index in np.flatnonzero(short):
        early = gains[:, : counts[index]].mean(axis=1)
        trend = Trend.fit(x[~short], early[~short], gains[~short].mean(axis=1))
        value, error = trend.predict(early[index])
        assert curve["gain"].iloc[index] == pytest.approx(value)
        assert curve["sem"].iloc[index] == pytest.approx(error)
        assert abs(value - whole["gain"].iloc[index]) < 4 * error


def test_branch_points_at_other_places_and_few_complete_trials_are_left_as_they_are():
    x, gains = staged("drifts right", np.random.default_rng(6))
    counts = np.full(TRIALS, POINTS)
    counts[3] = 2
    rows = records(x, gains, counts)
    wide = rows.assign(branch_step=np.where(rows.trial == "t03", 2 * rows.branch_step, rows.branch_step))
    few = rows[rows.trial < "t08"]
    for table in (wide, few):
        assert trial_gains(table).set_index("trial").loc["t03", "gain"] == pytest.approx(gains[3, :2].mean())
