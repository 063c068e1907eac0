"""Learning rates that follow from a peak: on the axis that the collapse supports, with what to expect there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted import PEAK, Sweep, table_of

from analysis.guide import Guide, nearest
from analysis.reading import read_records
from analysis.recommend import recommend_info, whole_verdict, with_collapse
from analysis.table import Selection, gain_curve
from analysis.verdict import find_peak, judge, verdict
from search_spaces.noise import noise_scale


def drifted(table: pd.DataFrame, power: float) -> pd.DataFrame:
    """The table of a sweep whose peaks' learning rates grow as B^(1 + power)."""
    lr = table["lr"] * (table["batch_size"] / 64) ** power
    return table.assign(lr=lr, noise_scale=lr / table["batch_size"] / (1 - table["momentum"]))


@pytest.fixture(scope="module")
def drifting():
    table = drifted(table_of(Sweep()), 0.8)
    return with_collapse(judge(table, Selection()), table)


def test_a_live_verdict_waits_for_no_collapse(demo_run):
    assert verdict(demo_run).collapse is None


def test_a_collapse_that_holds_changes_nothing_else(demo_run):
    before = verdict(demo_run)
    found = whole_verdict(demo_run)
    assert found.collapse.verdict == "holds"
    assert [replace(r, merged=None, stable=None) for r in found.recommendations] == [*before.recommendations]
    assert all(r.merged and r.stable for r in found.recommendations)
    assert found.warnings == before.warnings


def test_where_the_exponent_is_rejected_the_fitted_axis_is_used_and_said(drifting):
    assert drifting.collapse.verdict == "imperfect"
    assert drifting.collapse.axis == (drifting.collapse.b.value, 1.0)
    assert "S does not align the batch sizes" in drifting.warnings[-1]
    for found in drifting.recommendations:
        truth = PEAK * found.batch_size * 0.1 * (found.batch_size / 64) ** 0.8
        assert found.low <= truth <= found.high
        assert found.lr == pytest.approx(truth, rel=0.5)
        assert "B^1." in found.note


def test_where_no_axis_aligns_each_batch_size_has_its_own_rate():
    table = table_of(Sweep(batch_sizes=(16, 32, 64, 128), noise=0.02))
    alone = np.where(table["batch_size"] == 32, 12.0, 1.0)
    table = drifted(table, -0.7)
    table = table.assign(lr=table["lr"] * alone, noise_scale=table["noise_scale"] * alone)
    found = with_collapse(judge(table, Selection()), table)
    assert found.collapse.axis is None
    assert "each one's own peak" in found.warnings[-1]
    for each in found.recommendations:
        off = 12.0 if each.batch_size == 32 else 1.0
        truth = PEAK * each.batch_size * 0.1 * (each.batch_size / 64) ** -0.7 * off
        assert each.low <= truth <= each.high
        assert f"batch size {each.batch_size} alone" in each.note


def test_without_a_peak_there_is_no_collapse(demo_table):
    few = judge(demo_table[demo_table["trial"] == "00000"], Selection())
    assert with_collapse(few, demo_table) is few


@pytest.mark.parametrize(("batch_size", "momentum"), [(64, 0.9), (1024, 0.5)])
def test_the_nearest_stable_rate_is_the_largest_tried_one_short_of_collapse(demo_run, batch_size, momentum):
    found = recommend_info(demo_run, batch_size, momentum)
    curve = gain_curve(read_records(demo_run))
    peak = noise_scale(found.lr, batch_size, momentum)
    stable = noise_scale(found.stable.lr, batch_size, momentum)
    own = curve.where(curve.batch_size == nearest(batch_size, curve))
    tried = own.noise_scale[(own.collapsed == 0) & (own.noise_scale <= peak)]
    assert stable == pytest.approx(tried.max())
    # The peak of the planted hump is stable, and the grid is fine: little is lost.
    assert abs(found.stable.lost) < 0.2 * found.gain


def test_short_of_an_early_collapse_much_is_lost():
    """Half of the trials at the top collapse in part, so that a stable rate is a grid step or more below it."""
    table = table_of(Sweep(at_chance_above=0.006))
    table.loc[table["status"] == "at_chance", ["gain", "status"]] = [0.04, "ok"]
    late = (table["branch_epoch"] == 45) & (table["noise_scale"] > 0.006)
    found = judge(table, Selection())
    guide = Guide(found.curve, found.point, (1.0, 1.0))
    stable = guide.stable(64, 0.9)
    assert late.any()
    assert noise_scale(stable.lr, 64, 0.9) <= 0.006
    assert stable.lost > 0


def test_where_everything_tried_collapsed_no_rate_is_stable(demo_table):
    curve = gain_curve(demo_table)
    lost = curve.where(curve.noise_scale > 0.05)
    guide = Guide(lost, find_peak(curve), (1.0, 1.0))
    assert guide.stable(64, 0.9) is None


def test_the_merged_accuracy_is_that_of_stable_trials_near_the_peak(demo_run):
    found = recommend_info(demo_run, 64)
    rows = read_records(demo_run).query(
        "metric == 'accuracy' and split == 'validation' and batchnorm == 'recalibrated' and batch_size == 64"
    )
    reached = rows.groupby("noise_scale")["f_merged"].mean()
    peak = noise_scale(found.lr, 64, 0.9)
    truth = np.interp(np.log(peak), np.log(reached.index), reached)
    assert found.merged.metric == "accuracy"
    assert found.merged.low <= truth <= found.merged.high
    assert found.merged.value == pytest.approx(truth, abs=0.5)
    assert found.merged.high - found.merged.low < 2


def test_without_accuracies_the_merged_loss_is_expected(demo_table):
    table = demo_table[demo_table["metric"] == "loss"]
    found = judge(table, Selection())
    guide = Guide(found.curve, found.point, (1.0, 1.0))
    merged = guide.merged(table, found.selection, 64)
    assert merged.metric == "loss"
    assert merged.low <= merged.value <= merged.high
    few = Guide(found.curve.where(found.curve.noise_scale > 0.05), found.point, (1.0, 1.0))
    assert few.merged(table, found.selection, 64) is None


def test_powers_of_the_axis_are_undone_for_any_setting():
    guide = Guide(None, None, (0.5, 0.0))
    assert guide.lr_per_scale(64, 0.9) == pytest.approx(8)
    assert Guide(None, None, (1.3, 0.4)).lr_per_scale(64, 0.9) == pytest.approx(64**1.3 * 0.1**0.4)
