"""Where a search measures next, and when it stops."""

import time

import numpy as np
import pytest
from scipy.stats import logistic

from analysis.hump.model import hump
from analysis.hump.posterior import HumpPosterior
from analysis.search.acquisition import START, Observations, _log_weights, fill, most_informative, suggest
from analysis.search.stopping import Stopping, flat_mass, located_mass

LOW, HIGH = -4.0, 0.0
NONE = np.empty(0)


def bell(x, peak=-1.7, width=0.5):
    return np.exp(-0.5 * ((x - peak) / width) ** 2)


def cliff(x, edge=-1.5):
    """Rises to its edge, beyond which trials diverge."""
    return np.where(x < edge, np.exp(-0.5 * ((x - edge) / 0.8) ** 2), np.nan)


def observe(x, curve, noise=0.1, seed=0):
    y = curve(np.asarray(x)) + noise * np.random.default_rng(seed).standard_normal(len(x))
    return Observations.of(x, y, np.where(np.isfinite(y), "ok", "diverged"))


def search(curve, trials, seed=0, batch=1, noise=0.1):
    """Return a search's trials; each batch is chosen before any of it is measured."""
    x = NONE
    while len(x) < trials:
        known, chosen = observe(x, curve, noise, seed), NONE
        for _ in range(batch):
            rng = np.random.default_rng([seed, len(x) + len(chosen)])
            chosen = np.append(chosen, suggest(known, chosen, LOW, HIGH, rng))
        x = np.concatenate([x, chosen])
    return observe(x, curve, noise, seed)


def posterior(trials):
    return trials.posterior(np.random.default_rng(0))


class TestStart:
    def test_each_part_of_the_range_gets_a_trial_whoever_chose_the_others(self):
        for seed in range(5):
            x = np.array([-0.1])
            for number in range(2 * START - 1):
                x = np.append(x, fill(x, LOW, HIGH, np.random.default_rng([seed, number])))
                if len(x) == START:
                    assert len(set(np.floor((x - LOW) / (HIGH - LOW) * START))) == START
            assert ((x >= LOW) & (x <= HIGH)).all()

    def test_it_goes_on_while_hardly_anything_has_a_gain(self):
        x = np.linspace(-3.9, -0.1, 8)
        lost = Observations.of(x, np.full(8, np.nan), ["diverged"] * 8)
        found = suggest(lost, NONE, LOW, HIGH, np.random.default_rng(0))
        assert np.abs(x - found).min() > 0.02


class TestAcquisition:
    def test_the_weights_are_the_likelihood_of_what_a_truth_would_give(self):
        theta = posterior(observe(np.linspace(-3, 0, 12), bell)).theta[::400]
        truths, places, floor = np.array([0, 3, 7]), np.array([-2.0, -0.4]), 0.3
        found = _log_weights(theta, places, truths, floor, np.random.default_rng(5))
        levels = np.random.default_rng(5).permutation((np.arange(3) + 0.5) / 3)
        f, scale = hump(theta, places), np.exp(theta[:, 2]) * np.sqrt(3) / np.pi
        for k, truth in enumerate(truths):
            for g in range(2):
                y = logistic.ppf(levels[k], f[truth, g], scale[truth])
                slow = (
                    logistic.logcdf(floor, f[:, g], scale)
                    if y <= floor
                    else logistic.logpdf(y, f[:, g], scale)
                )
                np.testing.assert_allclose(found[k, g], slow, atol=1e-9)

    def test_the_gap_of_a_cliff_is_halved(self):
        x = np.array([-3.6, -2.9, -2.5, -2.1, -1.8, -1.2, -0.8, -0.3])
        for seed in range(5):
            found = suggest(observe(x, cliff, 0.03), NONE, LOW, HIGH, np.random.default_rng(seed))
            assert -1.8 < found < -1.2

    def test_a_batch_does_not_repeat_a_point(self):
        trials = observe(np.linspace(-3.9, -0.1, 8), bell)
        chosen = NONE
        for number in range(4):
            chosen = np.append(chosen, suggest(trials, chosen, LOW, HIGH, np.random.default_rng(number)))
        assert np.diff(np.sort(chosen)).min() > 0.05

    def test_a_peak_beyond_the_range_is_sought_at_its_edge(self):
        trials = observe(np.linspace(-3.9, -0.05, 10), lambda x: bell(x, peak=0.4, width=1.0), 0.03)
        found = most_informative(posterior(trials), NONE, LOW, HIGH, np.random.default_rng(0))
        assert -0.7 < found <= HIGH

    def test_it_is_a_function_of_trials_and_generator(self):
        trials = observe(np.linspace(-3.9, -0.1, 8), bell)
        found = {suggest(trials, NONE, LOW, HIGH, np.random.default_rng(3)) for _ in range(2)}
        assert len(found) == 1

    @pytest.mark.parametrize(("curve", "truth", "batch"), [(bell, -1.7, 1), (cliff, -1.5, 4)])
    def test_twenty_trials_find_the_peak(self, curve, truth, batch):
        found = posterior(search(curve, 20, seed=1, batch=batch))
        assert abs(np.median(found.argmax_draws) - truth) < np.log10(1.25)
        assert located_mass(found, 1.25) > 0.8

    def test_a_suggestion_at_a_hundred_trials_takes_less_than_300_ms(self):
        x = np.random.default_rng(0).uniform(LOW, HIGH, 100)
        trials = observe(x, bell)
        seconds = []
        for seed in range(3):
            started = time.process_time()
            suggest(trials, np.array([-2.0, -1.5, -1.0]), LOW, HIGH, np.random.default_rng(seed))
            seconds.append(time.process_time() - started)
        assert min(seconds) < 0.3


class TestStopping:
    located = posterior(
        observe(np.repeat(np.linspace(-2.6, -0.8, 16), 2), lambda x: bell(x, width=0.3), 0.02)
    )
    vague = posterior(observe(np.linspace(-3.9, -0.1, 8), bell, 0.4))
    rising = posterior(observe(np.linspace(-3.9, -0.1, 24), lambda x: 1 + x / 4, 0.01))
    flat_top = posterior(
        observe(
            np.linspace(-3.9, -0.1, 40),
            lambda x: np.exp(-0.5 * (np.maximum(np.abs(x + 1.8) - 0.6, 0) / 0.2) ** 2),
            0.02,
        )
    )

    def test_the_third_sure_posterior_in_a_row_stops_the_search(self):
        rule = Stopping()
        seen = [self.located, self.located, self.vague, self.located, self.located, self.located]
        assert [rule.see(each) for each in seen] == [None] * 5 + ["located"]
        assert rule.see(self.vague) == "located", "once it is done it stays so"

    def test_a_plateau_stops_it_by_regret(self):
        assert located_mass(self.flat_top, 1.25) < 0.95
        assert flat_mass(self.flat_top, 0.02) >= 0.95
        rule = Stopping()
        assert [rule.see(self.flat_top) for _ in range(3)] == [None, None, "plateau"]
        strict = Stopping(regret=1e-6)
        assert [strict.see(self.flat_top) for _ in range(3)] == [None] * 3

    def test_where_no_hump_is_claimed_nothing_is_sure_enough(self):
        lenient = Stopping(within=1e6, regret=1e6)
        assert located_mass(self.rising, 1e6) == 1.0
        assert not any(lenient.see(self.rising) for _ in range(4))

    @pytest.mark.parametrize("posterior", [rising, vague], ids=["edge", "vague"])
    def test_an_edge_or_a_vague_peak_never_does(self, posterior: HumpPosterior):
        rule = Stopping()
        assert not any(rule.see(posterior) for _ in range(4))


def test_an_edge_is_measured_again_but_never_the_same_trial():
    x = np.linspace(-4, -0.2, 12)
    found = [
        suggest(Observations.of(x, 1 + x / 4, ["ok"] * 12), [], -4.0, 0.0, np.random.default_rng(seed))
        for seed in range(4)
    ]
    assert len(set(found)) == 4
    assert all(-4.0 <= place <= 0.0 for place in found)
    assert max(found) > -0.3
