"""The hump posterior: its densities against slow references, the sampler against known answers."""

import hump_reference as reference
import humps
import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from analysis.hump.gaussian_process import Kernel, regress, smooth, squash
from analysis.hump.model import Density, Scale, hump
from analysis.hump.posterior import HumpPosterior
from analysis.hump.smc import tempered_smc
from analysis.hump.two_lines import hc3_slope, two_lines


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def no(x):
    return np.zeros(len(x), bool)


def density(rng, n=12, curves=0):
    x = np.sort(rng.uniform(-3, 0, n))
    y = np.sort(rng.normal(0.8, 0.4, n))[::-1]
    scale = Scale(peak=2.0, noise=0.2, unit=2.0, floor=0.4)
    floor = scale.floor / scale.unit
    return Density(x, np.maximum(y, floor), y <= floor, scale, np.arange(n) % max(curves, 1), curves), y


class TestModel:
    def test_the_curve_is_the_formula(self, rng):
        theta = density(rng)[0].prior_draws(200, rng)
        theta[:3, 9] = 0.0, 1e-6, -1e-6
        x = np.append(np.linspace(-3.5, 0.5, 9), theta[0, 0])
        slow = [[reference.curve(place, *draw) for place in x] for draw in theta]
        np.testing.assert_allclose(hump(theta, x), slow, atol=1e-7)

    def test_no_curve_exceeds_its_peak(self, rng):
        theta = density(rng)[0].prior_draws(500, rng)
        assert (hump(theta, np.linspace(-8, 5, 300)) <= theta[:, 1, None]).all()
        np.testing.assert_allclose(np.diag(hump(theta, theta[:, 0])), theta[:, 1])

    @pytest.mark.parametrize("error", [np.zeros(9), np.array([0.0, 0.3, 0.0, 0.05, 0.4, 2.0, 0.0, 0.0, 0.0])])
    def test_the_likelihood_censors_what_is_low_and_widens_what_is_foretold(self, rng, error):
        x = np.sort(rng.uniform(-3, 0, 9))
        y = np.array([0.4, 0.7, 1.0, 0.9, 0.1, -3.0, 0.0, 0.45, 9.9])
        diverged, at_chance = y == 9.9, (y == 0.0) | (y == 0.45)
        scale = Scale(peak=1.0, noise=0.1, unit=1.0, floor=0.2)
        value = np.where(diverged, 0.2, np.maximum(y, 0.2))
        model = Density(x, value, diverged | at_chance | (y <= 0.2), scale, np.zeros(9, int), 0, error=error)
        theta = model.prior_draws(50, rng)
        slow = [reference.log_likelihood(draw, x, y, 0.2, diverged, at_chance, error) for draw in theta]
        np.testing.assert_allclose(model.log_likelihood(theta), slow, rtol=1e-6, atol=1e-6)

    def test_the_prior_is_the_mixture(self, rng):
        model, _ = density(rng)
        theta = model.prior_draws(60, rng)
        theta[0, 4], theta[1, 7], theta[2, 0] = np.log(0.8), np.log(0.8), model.x[-1] + 0.8
        slow = np.array([reference.log_prior(draw, model.x[0], model.x[-1], 1.0, 0.1) for draw in theta])
        fast = model.log_prior(theta)
        assert np.isneginf(fast[:3]).all()
        np.testing.assert_allclose(fast[3:] - fast[3], slow[3:] - slow[3], rtol=1e-9, atol=1e-9)


class TestScale:
    def test_small_example_by_hand(self):
        scale = Scale.of(np.array([0.0, 1.0, 4.0, 3.0, 5.0, 2.0]))
        # Running medians 1, 3, 4, 3: the top two average 3.5. Second differences at 1 … 4: −1, 2, −1.5, 2.5.
        assert scale.peak == 3.5
        assert scale.noise == pytest.approx(1.4826 * 1.75 / np.sqrt(1.5))
        assert scale.unit == pytest.approx(5 * scale.noise)
        assert scale.floor == pytest.approx(3.5 - 0.8 * scale.unit)

    @pytest.mark.parametrize("factor", [0.01, 1e6])
    def test_follows_the_unit(self, rng, factor):
        y = rng.normal(1, 0.3, 20)
        one, other = Scale.of(y), Scale.of(factor * y)
        np.testing.assert_allclose(
            factor * np.array([one.peak, one.noise, one.unit, one.floor]),
            [other.peak, other.noise, other.unit, other.floor],
        )

    def test_noise_is_consistent_on_a_slope(self, rng):
        y = np.linspace(5, 6, 5000) + 0.2 * rng.standard_normal(5000)
        assert Scale.of(y).noise == pytest.approx(0.2, rel=0.05)

    def test_what_was_not_measured_does_not_count(self):
        measured = np.array([1.0, 2.0, 3.0, 2.5])
        scale = Scale.of(np.concatenate([measured, np.full(6, -np.inf)]))
        # Running medians 2, 2.5, 2.5, then −∞. Second differences at the two inner gains: 0, .75.
        assert scale.peak == 2.5
        assert scale.noise == pytest.approx(1.4826 * 0.375 / np.sqrt(1.5))

    def test_one_measured_gain_is_enough(self):
        assert Scale.of(np.array([-np.inf, -np.inf, 2.0, -np.inf, -np.inf])).peak == 2.0

    def test_a_known_noise_raises_only_the_noise(self):
        y = np.array([0.0, 1.0, 4.0, 3.0, 5.0, 2.0])
        plain, known = Scale.of(y), Scale.of(y, least_noise=9.0)
        assert known.noise == 9.0
        assert (known.peak, known.unit, known.floor) == (plain.peak, plain.unit, plain.floor)

    @pytest.mark.parametrize("y", [np.zeros(6), np.full(6, -2.0), np.full(6, 3.0)])
    def test_constant_gains_have_a_positive_unit(self, y):
        assert Scale.of(y).unit > 0


class TestSampler:
    def test_recovers_a_normal_posterior(self, rng):
        # Prior N(0, 1), likelihood N(data; θ, .2²) per coordinate: posterior N(data / 1.04, .04 / 1.04).
        data = np.array([1.0, -2.0, 0.5, 3.0])
        draws = tempered_smc(
            rng.standard_normal((5000, 4)),
            lambda t: -0.5 * (t**2).sum(axis=1),
            lambda t: -0.5 * (((data - t) / 0.2) ** 2).sum(axis=1),
            rng,
            size=500,
        )
        deviation = np.sqrt(0.04 / 1.04)
        np.testing.assert_allclose(draws.mean(axis=0), data / 1.04, atol=0.15 * deviation)
        np.testing.assert_allclose(draws.std(axis=0), deviation, rtol=0.1)

    def test_power_tempers_the_likelihood(self, rng):
        draws = tempered_smc(
            10 * rng.standard_normal((5000, 2)),
            lambda t: -0.5 * ((t / 10) ** 2).sum(axis=1),
            lambda t: -0.5 * (t**2).sum(axis=1),
            rng,
            size=500,
            power=0.25,
        )
        np.testing.assert_allclose(draws.std(axis=0), np.sqrt(1 / (0.25 + 0.01)), rtol=0.1)

    def test_finds_both_of_two_modes(self, rng):
        draws = tempered_smc(
            rng.uniform(-5, 5, (5000, 2)),
            lambda t: np.where(np.abs(t).max(axis=1) <= 5, 0.0, -np.inf),
            lambda t: np.logaddexp(
                np.log(0.3) - 50 * ((t - 2) ** 2).sum(axis=1), np.log(0.7) - 50 * ((t + 2) ** 2).sum(axis=1)
            ),
            rng,
            size=500,
        )
        assert (draws[:, 0] > 0).mean() == pytest.approx(0.3, abs=0.1)

    @pytest.mark.parametrize("curves", [0, 2])
    def test_without_data_the_moves_keep_the_prior(self, rng, curves):
        model, _ = density(rng, curves=curves)
        draws = tempered_smc(
            model.prior_draws(5000, rng), model.log_prior, lambda t: np.zeros(len(t)), rng, size=1000
        )
        fresh = model.prior_draws(5000, rng)
        for coordinate in range(fresh.shape[1]):
            assert ks_2samp(draws[-1000:, coordinate], fresh[:, coordinate]).statistic < 0.07


class TestPosterior:
    def test_ignores_the_order_of_trials(self, rng):
        planted = humps.unequal_widths(rng)
        x = np.round(planted.x, 1)
        shuffled = rng.permutation(len(x))
        one = HumpPosterior.fit(x, planted.gain, no(x), no(x), np.random.default_rng(3))
        other = HumpPosterior.fit(x[shuffled], planted.gain[shuffled], no(x), no(x), np.random.default_rng(3))
        assert len(np.unique(x)) < len(x)
        np.testing.assert_array_equal(one.theta, other.theta)

    def test_shifted_curves_share_one_peak(self, rng):
        x = np.tile(np.linspace(-3, 0, 16), 2)
        curve = np.repeat(["large", "small"], 16)
        shift = np.where(curve == "large", 0.12, -0.12)
        gain = np.exp(-0.5 * ((x + 1.5 - shift) / 0.4) ** 2) + 0.03 * rng.standard_normal(32)
        posterior = HumpPosterior.fit(x, gain, no(x), no(x), rng, curve=curve)
        moved = np.exp(posterior.theta[:, 10]) * (posterior.theta[:, 11] - posterior.theta[:, 12])
        assert np.median(moved) == pytest.approx(0.24, abs=0.06)
        low, high = posterior.interval()
        assert low <= -1.5 <= high

    def test_the_interval_reaches_across_a_cliff(self, rng):
        x = np.array([-4.0, -3.6, -3.2, -2.9, -2.5, -2.2, -1.2, -1.0, -0.7, -0.4])
        gain = np.where(x < -2, 1 + 0.2 * (x + 2.2), -9.0)
        posterior = HumpPosterior.fit(x, gain, no(x), no(x), rng)
        assert posterior.cliff(-1.7) == (-2.2, -1.2)
        assert posterior.cliff(-2.4) is None
        assert posterior.interval()[1] >= -1.25

    def test_curves_are_in_the_unit_of_gain(self, rng):
        planted = humps.symmetric(rng)
        posterior = HumpPosterior.fit(planted.x, 100 * planted.gain, no(planted.x), no(planted.x), rng)
        middle = np.median(posterior.curves(np.array([planted.truth])))
        assert middle == pytest.approx(np.median(posterior.peaks()), rel=0.1)
        assert 80 < middle < 150


class TestGaussianProcess:
    @pytest.mark.parametrize("kernel", [Kernel(0.3, 1.0, 0.1), Kernel(1.2, 2.0, 0.4)])
    def test_agrees_with_scikit_learn(self, rng, kernel):
        x, y, grid = rng.uniform(-4, 0, 20), rng.standard_normal(20), np.linspace(-4, 0, 15)
        covariance = ConstantKernel(kernel.amplitude**2) * RBF(kernel.length)
        theirs = GaussianProcessRegressor(covariance, alpha=kernel.noise**2, optimizer=None)
        theirs.fit(x[:, None], y)
        mean, spread = theirs.predict(grid[:, None], return_cov=True)
        ours = regress(x, y, grid, kernel)
        np.testing.assert_allclose(ours[0], mean, atol=1e-8)
        np.testing.assert_allclose(ours[1], spread, atol=1e-8)
        assert ours[2] == pytest.approx(theirs.log_marginal_likelihood_value_)

    def test_finds_a_smooth_peak(self, rng):
        x, grid = rng.uniform(-4, 0, 30), np.linspace(-4, 0, 100)
        fit = smooth(x, np.exp(-0.5 * ((x + 1.7) / 0.6) ** 2) + 0.02 * rng.standard_normal(30), grid, rng)
        low, high = np.quantile(fit.argmax_draws, [0.025, 0.975])
        assert low <= -1.7 <= high
        assert high - low < 0.5

    def test_squash_is_the_identity_above_zero_and_logarithmic_below(self):
        np.testing.assert_allclose(squash(np.array([-np.e + 1, -0.0, 0.5, 3.0])), [-1.0, 0.0, 0.5, 3.0])


class TestTwoLines:
    def test_hc3_is_the_jackknife_of_predictions(self, rng):
        x = rng.standard_normal(15)
        y = rng.standard_normal(15) * np.exp(x)
        np.testing.assert_allclose(hc3_slope(x, y), reference.hc3_slope(x, y), rtol=1e-9)

    def test_a_slope_that_hangs_on_one_trial_is_uncertain(self):
        x = np.array([-3.0, -3.0 + 1e-9, -3.0 + 2e-9, -2.0])
        assert hc3_slope(x, np.array([0.1, 0.0, -0.1, 1.0]))[1] == np.inf
        places = np.concatenate([x, [-1.0, -0.9, -0.8, -0.7]])
        test = two_lines(
            places, np.array([0.1, 0.0, -0.1, 1, 1, 0.8, 0.6, 0.4]), fitted=-((places + 1) ** 2), error=0.005
        )
        assert test.p_low == 1
        assert not test.hump

    def test_exact_lines_are_certain(self):
        x = np.linspace(-4, 0, 21)
        test = two_lines(x, -1e12 * np.abs(x + 2), fitted=-np.abs(x + 2), error=0.5)
        assert test.hump
        assert two_lines(x, np.zeros(21), fitted=np.zeros(21), error=0.5).p_low == 1

    def test_recovers_the_slopes_of_a_tent(self, rng):
        x = rng.uniform(-4, 0, 300)
        y = np.where(x < -1.5, 2 * (x + 1.5), -3 * (x + 1.5))
        test = two_lines(x, y + 0.05 * rng.standard_normal(300), fitted=y, error=0.05)
        assert test.slope_low == pytest.approx(2, abs=0.1)
        assert test.slope_high == pytest.approx(-3, abs=0.1)
        assert np.log10(test.break_at) == pytest.approx(-1.5, abs=0.1)
        assert test.hump

    def test_a_line_is_no_hump(self, rng):
        x = rng.uniform(-4, 0, 100)
        assert not two_lines(x, x + 0.1 * rng.standard_normal(100), fitted=x, error=0.5).hump

    def test_an_upside_down_tent_is_no_hump(self, rng):
        x = rng.uniform(-4, 0, 100)
        assert not two_lines(x, np.abs(x + 2), fitted=-np.abs(x + 2), error=0.5).hump

    def test_the_weaker_line_gets_more_trials(self):
        # Steep and exact on the left, shallow and noisy on the right: the break moves left of the top's middle.
        x = np.linspace(-4, 0, 41)
        y = np.where(x < -2, 5 * (x + 2), -0.3 * (x + 2) + 0.2 * np.cos(20 * x))
        fitted = np.where(np.abs(x + 2) <= 1, 0.0, -1.0)
        assert np.log10(two_lines(x, y, fitted, error=0.5).break_at) < -2.2

    def test_too_few_noise_scales_say_nothing(self):
        x = np.array([-3.0, -2, -1, -1, 0])
        test = two_lines(x, -(x**2), fitted=-(x**2), error=0.1)
        assert np.isnan(test.p_low)
        assert not test.hump
