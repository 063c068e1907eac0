"""The collapse: exponents and axes recovered from planted grids, and an honest "can't be told"."""

import grids
import numpy as np
import pandas as pd
import pytest
from collapse_coverage import cells_of, holds, planted
from planted import PEAK, Sweep, table_of
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from analysis import gain_curve, with_collapse
from analysis.collapse import axis_words, collapse, expected_exponents, find_collapse, measured_noise
from analysis.collapse.axes import best_kernel, candidates, collapse_quality, judge_axis, neighbour_weights
from analysis.collapse.cells import Cells
from analysis.collapse.exponents import ExponentPosterior, spline_errors, spline_profile
from analysis.hump.gaussian_process import Kernel, regress
from analysis.table import Selection
from analysis.verdict import judge


def grid_of(seed=0, shape=grids.cliff_later, **case):
    rng = np.random.default_rng(seed)
    return grids.grid(rng, shape(rng), **{"batch_sizes": 4, "scales": 11, **case})


def found_on(grid, **settings):
    return find_collapse(grid.lr, grid.batch_size, grid.momentum, grid.gain, sem=grid.sem, **settings)


@pytest.fixture(scope="module")
def aligned():
    return found_on(grid_of())


@pytest.fixture(scope="module")
def drifting():
    return found_on(grid_of(b=0.3, noise=0.05))


@pytest.fixture(scope="module")
def with_momentum():
    grid = grid_of(b=1.0, c=0.3, momenta=(0.0, 0.7, 0.9), batch_sizes=3, noise=0.05)
    return grid, found_on(grid)


def test_curves_that_collapse_are_found_to(aligned):
    assert aligned.verdict == "holds", aligned.reason
    assert holds(aligned.b, 1.0)
    assert holds(aligned.b.trimmed, 1.0)
    assert aligned.b.spline == pytest.approx(1.0, abs=0.3)
    assert aligned.c is None
    assert aligned.axis == aligned.expected == (1.0, 1.0)
    assert aligned.axes[0].name == "S"
    assert [axis.loo_error for axis in aligned.axes] == sorted(axis.loo_error for axis in aligned.axes)


def test_an_exponent_other_than_one_is_rejected_and_used_instead(drifting):
    assert drifting.verdict == "imperfect"
    assert "not 1" in drifting.reason
    assert holds(drifting.b, 0.3)
    assert drifting.b.high < 1
    assert drifting.axis == (drifting.b.value, 1.0)
    # Momentum doesn't vary, and √B is nearest to the truth.
    assert drifting.axes[0].name == "lr/√B"


def test_both_exponents_are_told_apart(with_momentum):
    grid, found = with_momentum
    assert holds(found.b, grid.b)
    assert holds(found.c, grid.c)
    assert found.c.high < 1
    assert found.axis == (1.0, found.c.value)
    assert found.c.spline == pytest.approx(grid.c, abs=0.2)


def test_the_learning_rate_at_the_peak_follows_the_exponents(drifting, with_momentum):
    for grid, found in ((grid_of(b=0.3, noise=0.05), drifting), with_momentum):
        for (batch_size, momentum), lr in grid.peak_lr.items():
            assert holds(found.lr_at(batch_size, momentum), lr)
    swept, unseen = drifting.lr_at(64, 0.9), drifting.lr_at(8192, 0.9)
    assert unseen.value / swept.value == pytest.approx(128**drifting.b.value, rel=0.5)
    assert unseen.high / unseen.low > swept.high / swept.low


def test_each_batch_size_has_its_own_peak():
    grid = grid_of(b=0.3, noise=0.05)
    found = found_on(grid)
    for (batch_size, momentum), lr in grid.peak_lr.items():
        own = found.peaks[batch_size]
        assert own.low <= lr / (batch_size * (1 - momentum)) <= own.high


def test_peaks_that_no_exponent_aligns_are_taken_one_by_one():
    """All follow b = .3 but the second of four batch sizes, which peaks a decade further right."""
    grid = grid_of(b=0.3, noise=0.03, shape=grids.no_cliff, scales=13)
    sizes = np.unique(grid.batch_size)
    lr = grid.lr * np.where(grid.batch_size == sizes[1], 10.0, 1.0)
    found = find_collapse(lr, grid.batch_size, grid.momentum, grid.gain, sem=grid.sem)
    assert found.verdict == "imperfect"
    assert found.axis is None
    assert set(found.peaks) == set(sizes)
    assert found.coordinate(0.1, 64, 0.9) == pytest.approx(0.1 / 64 / 0.1)


def test_neither_order_nor_unit_matters(aligned):
    grid = grid_of()
    order = np.random.default_rng(1).permutation(len(grid.lr))
    found = find_collapse(
        grid.lr[order],
        grid.batch_size[order],
        grid.momentum[order],
        0.01 * grid.gain[order],
        sem=0.01 * grid.sem[order],
    )
    assert found.verdict == aligned.verdict
    assert found.b.value == pytest.approx(aligned.b.value, abs=0.02)
    assert [axis.name for axis in found.axes] == [axis.name for axis in aligned.axes]
    for ours, theirs in zip(found.axes, aligned.axes, strict=True):
        assert ours.r2 == pytest.approx(theirs.r2)
        assert ours.loo_error == pytest.approx(theirs.loo_error)
        assert ours.nugget == pytest.approx(0.01 * theirs.nugget)


def test_what_cannot_be_told_is_said_to_be_so():
    grid = grid_of()
    one = grid.batch_size == grid.batch_size[0]
    few = np.arange(len(grid.lr)) % 11 < 3
    for chosen, why in ((one, "One batch size"), (few, "Fewer than two batch sizes have 5 trials")):
        found = find_collapse(
            grid.lr[chosen], grid.batch_size[chosen], grid.momentum[chosen], grid.gain[chosen]
        )
        assert found.verdict == "unknown"
        assert why in found.reason
        assert (found.axes, found.b, found.lr_at(64, 0.9), found.axis) == ((), None, None, (1.0, 1.0))
    noise = np.random.default_rng(0).standard_normal(len(grid.lr))
    flat = find_collapse(grid.lr, grid.batch_size, grid.momentum, noise)
    assert flat.verdict == "unknown"
    assert flat.axis == flat.expected
    diverged = find_collapse(grid.lr, grid.batch_size, grid.momentum, np.full(len(grid.lr), np.nan))
    assert "No trial has a gain" in diverged.reason
    level = find_collapse(grid.batch_size * 0.001, grid.batch_size, grid.momentum, grid.gain)
    assert "Only one S was tried" in level.reason


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="gain has 2 values and lr 3"):
        find_collapse([0.1, 0.2, 0.3], [16, 16, 64], [0.9] * 3, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"lr 0\.0 is not positive"):
        find_collapse([0.1, 0.0, 0.3], [16, 16, 64], [0.9] * 3, [1.0, 2.0, 1.0])


def test_a_table_collapses_over_weight_decay_too():
    """The planted hump is one of S: lr·λ is worse, and gains may mix weight decays only here."""
    table = table_of(Sweep(weight_decays=(5e-5, 5e-4), noise_scales=tuple(np.geomspace(3e-4, 0.3, 9))))
    found = collapse(table)
    assert found.verdict == "holds", found.reason
    assert {"S", "lr", "lr·λ"} <= {axis.name for axis in found.axes}
    assert found.axes[0].name == "S"
    assert all(location.low <= PEAK <= location.high for location in found.peaks.values())
    with pytest.raises(ValueError, match="weight_decay"):
        gain_curve(table)
    with pytest.raises(ValueError, match="model"):
        collapse(table.assign(model=np.where(table["trial"] < "00020", "mlp", "resnet18")))


def test_a_measured_noise_scale_is_an_axis_of_its_own(demo_table):
    trials = demo_table.groupby("trial")[["noise_scale", "batch_size"]].first()
    measured = trials["noise_scale"] * trials["batch_size"] ** 0.3
    found = {axis.name: axis for axis in collapse(demo_table, measured=measured).axes}
    assert found["S"].loo_error < found["S_eff"].loo_error
    assert "S_eff" not in {axis.name for axis in collapse(demo_table, measured=measured[1:]).axes}
    # The last trial diverged: nothing could be measured there.
    assert "S_eff" in {axis.name for axis in collapse(demo_table, measured=measured[:-1]).axes}


def test_what_diverged_unmeasured_takes_the_gradient_noise_of_the_nearest_learning_rate():
    rng = np.random.default_rng(0)
    lr = np.array([0.1, 0.2, 0.8, 0.1, 0.8])
    gain, sizes = [1.0, 0.5, np.nan, 1.0, np.nan], [16, 16, 16, 64, 64]
    cells = Cells.of(
        lr, sizes, 0.9, gain, sem=None, status=None, weight_decay=None, expected=(1.0, 1.0), rng=rng,
        measured=[3.0, 4.0, np.nan, np.nan, np.nan],
    )  # fmt: skip
    np.testing.assert_allclose(cells.measured, [3.0, 4.0, 16.0, np.nan, np.nan])
    assert cells.lr.tolist() == lr.tolist()


def test_the_collapse_of_a_run_takes_the_noise_that_was_measured(demo_table):
    trials = demo_table.groupby("trial")[["noise_scale", "batch_size"]].first()
    measured = trials["noise_scale"] * trials["batch_size"] ** 0.3
    found = with_collapse(judge(demo_table, Selection()), demo_table, measured)
    assert "S_eff" in {axis.name for axis in found.collapse.axes}


def test_measurements_are_read_where_the_recipe_asks_for_them():
    columns = ["trial", "name", "value"]
    rows = [("a", "effective_noise_scale", 1.0), ("a", "effective_noise_scale", 3.0), ("b", "cka", 0.5)]
    asked, not_asked = ({"measures": {"also": also}} for also in (["cka", "gradient_noise"], ["cka"]))
    found = measured_noise(asked, lambda: pd.DataFrame(rows, columns=columns))
    assert found.to_dict() == {"a": 2.0}
    assert measured_noise(not_asked, lambda: pytest.fail("it was read")) is None


def test_only_axes_that_differ_are_candidates():
    rng = np.random.default_rng(0)
    constant, varied = cells_of(grid_of(), rng), cells_of(grid_of(momenta=(0.0, 0.9)), rng)
    assert list(candidates(constant)) == ["S", "lr", "1/B", "lr/√B"]
    assert list(candidates(varied)) == ["S", "lr", "1/B", "lr/B", "lr/√B"]


def test_adamw_is_tested_against_its_proxy():
    assert expected_exponents("adamw") == (0.5, 0.0)
    grid = grid_of(b=0.5)
    found = found_on(grid, expected=(0.5, 0.0))
    assert found.verdict == "holds", found.reason
    assert found.axis == (0.5, 0.0)
    assert found.coordinate(0.1, 64, 0.9) == pytest.approx(0.1 / 8)
    assert axis_words((0.5, 0.0)) == "lr/√B"


def test_cells_past_the_collapse_are_trimmed_and_no_others():
    for shape in grids.SHAPES.values():
        cells = cells_of(grid_of(shape=shape, noise=0.01), np.random.default_rng(0))
        kept = cells.before_collapse
        assert not (cells.gain[kept] < -1).any()
        for curve in np.unique(cells.curve):
            on = cells.curve == curve
            # One cut per curve: everything left of it stays.
            assert (np.diff(kept[on].astype(int)) <= 0).all()


def test_many_trials_are_averaged_and_give_the_same_exponent():
    many = grid_of(scales=60)
    cells = cells_of(many, np.random.default_rng(0))
    assert len(cells) <= 130
    assert cells.known_error == pytest.approx(0.15 / np.sqrt(2))
    assert holds(ExponentPosterior.fit(cells, np.random.default_rng(0)).exponent("b"), 1.0)


def test_the_spline_profile_against_least_squares_on_the_same_knots():
    """A natural cubic spline through the same knots, by scipy's interpolation of unit vectors."""
    from scipy.interpolate import CubicSpline

    from analysis.collapse.exponents import KNOTS

    cells = cells_of(grid_of(), np.random.default_rng(0))
    knots = np.quantile(cells.x, KNOTS)
    inside = (cells.x >= knots[0]) & (cells.x <= knots[-1])
    x, y = cells.x[inside], cells.floored[inside]
    knots = np.quantile(x, KNOTS)
    inside = (x >= knots[0]) & (x <= knots[-1])
    basis = np.column_stack(
        [CubicSpline(knots, unit, bc_type="natural")(np.clip(x, knots[0], knots[-1])) for unit in np.eye(6)]
    )
    # Outside of the knots a natural spline goes on straight.
    slopes = [CubicSpline(knots, unit, bc_type="natural")(knots[[0, -1]], 1) for unit in np.eye(6)]
    below, above = np.minimum(x - knots[0], 0), np.maximum(x - knots[-1], 0)
    basis += np.column_stack([below * s[0] + above * s[1] for s in slopes])
    residual = y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    assert spline_errors(x[None], y)[0] == pytest.approx(residual @ residual)


def test_the_evidence_is_that_of_sklearn():
    cells = cells_of(grid_of(), np.random.default_rng(0))
    standard = (cells.floored - cells.floored.mean()) / cells.floored.std()
    kernel = Kernel(length=0.4, amplitude=1.3, noise=0.2)
    theirs = GaussianProcessRegressor(
        ConstantKernel(1.3**2) * RBF(0.4) + WhiteKernel(0.2**2), optimizer=None, alpha=0.0
    ).fit(cells.x[:, None], standard)
    ours = regress(cells.x, standard, cells.x[:0], kernel)[2]
    assert ours == pytest.approx(theirs.log_marginal_likelihood())
    best, _, _ = best_kernel(cells.x, cells.floored)
    assert regress(cells.x, standard, cells.x[:0], best)[2] >= ours


def test_the_neighbours_line_goes_through_the_other_curves():
    """Two straight lines: the prediction of one from the other is exact, and beyond its ends there is none."""
    u = np.array([0.0, 1.0, 2.0, 3.0, 0.5, 1.5, 3.5])
    label = np.array([0, 0, 0, 0, 1, 1, 1])
    weights, variance, enclosed = neighbour_weights(u, label)
    assert list(enclosed) == [False, True, True, True, True, True, False]
    straight = 2 * u + 1
    assert (weights @ straight)[enclosed] == pytest.approx(straight[enclosed])
    # Halfway between two neighbours their mean has half the variance.
    assert variance[4] == pytest.approx(0.5)


def test_the_quality_of_perfect_collapses_is_calibrated():
    """Raw quality is about 1 on a line without curvature; p-values are uniform, so 1 in 10 is below .1."""
    rng = np.random.default_rng(0)
    u = np.tile(np.linspace(-3, 0, 9), 3)
    label = np.repeat(np.arange(3), 9)
    found = np.array(
        [collapse_quality(u, u + rng.standard_normal(27), u, 1.0, label, rng) for _ in range(200)]
    )
    assert found[:, 0].mean() == pytest.approx(1.0, abs=0.1)
    assert np.mean(found[:, 1] < 0.1) == pytest.approx(0.1, abs=0.06)
    shifted = u + 5.0 * label
    assert collapse_quality(u, shifted, u, 1.0, label, rng)[1] < 0.01


def test_curves_that_stand_apart_have_no_quality():
    cells = cells_of(grid_of(), np.random.default_rng(0))
    axis, errors = judge_axis("1/B", candidates(cells)["1/B"], cells, 0.15, np.random.default_rng(0))
    assert np.isnan(axis.quality)
    assert np.isnan(axis.p_value)
    assert axis.r2 < 0.3
    assert axis.loo_error == pytest.approx(np.sqrt(errors.mean()))


def test_exponents_are_covered_under_imperfect_collapse():
    """A quick look; the measurement is test_collapse_coverage.py."""
    inside = [
        holds(ExponentPosterior.fit(cells, rng).exponent("b"), grid.b)
        for case in ({"scatter": 0.1}, {"b": 0.6})
        for grid, cells, rng in planted(case, "cliff_later", 4)
    ]
    assert sum(inside) >= 7


def test_the_spline_recovers_both_exponents():
    for shape in grids.SHAPES.values():
        grid = grid_of(shape=shape, b=0.7, c=0.5, momenta=(0.0, 0.7, 0.9), noise=0.05)
        found = spline_profile(cells_of(grid, np.random.default_rng(0)))
        assert found == pytest.approx({"b": 0.7, "c": 0.5}, abs=0.25)
