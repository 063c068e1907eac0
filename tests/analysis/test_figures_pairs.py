"""Figures of pairs that share less than a trial: of different learning rates, and of independent networks."""

import itertools
import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from planted import Sweep, table_of

from analysis.figures.matching import matching_info, plot_matching
from analysis.figures.rates import paired_rates, plot_rates, rates_info
from analysis.table import Selection

SELECTION = Selection()
LRS, ALPHAS = (0.01, 0.03, 0.1), (0.0, 0.25, 0.5, 0.75, 1.0)


def gain_of(first, second, alpha):
    """Not symmetric: each endpoint's learning rate counts by its share."""
    return (1 - alpha) * np.log10(first) + 3 * alpha * np.log10(second) + 10


@pytest.fixture(scope="module")
def one_row():
    return SELECTION.rows(table_of(Sweep(noise_scales=(0.01,), batch_sizes=(64,)))).iloc[[0]]


@pytest.fixture(scope="module")
def across(one_row):
    """Linear and TIES merges of each pair of learning rates in one order, at five α and two branch points."""
    rows = []
    for (first, second), alpha, step, merge in itertools.product(
        itertools.combinations(LRS, 2), ALPHAS, (150, 300), ("linear", "ties")
    ):
        ends = json.dumps([{"key": "a", "lr": first}, {"key": "b", "lr": second}])
        gain = gain_of(first, second, alpha) + (0.1 if step == 150 else -0.1)
        rows.append(one_row.assign(endpoints=ends, alpha=alpha, branch_step=step, merge=merge, gain=gain))
    return pd.concat(rows, ignore_index=True)


def test_learning_rates_of_endpoints_are_read_where_both_are_recorded():
    texts = ['[{"lr": 0.1}, {"lr": 0.3}]', '[{"seed": 1}, {"seed": 2}]', '[{"lr": 0.1}, {"seed": 2}]']
    found = paired_rates(pd.DataFrame({"endpoints": texts}, index=[5, 6, 7]))
    assert found[["first", "second"]].to_dict("index") == {5: {"first": 0.1, "second": 0.3}}


def test_every_cell_of_the_map_is_the_planted_gain_in_both_orders(across):
    linear, ties = rates_info(across)
    assert (linear.merge, ties.merge) == ("linear", "ties")
    assert linear.alphas == ties.alphas == ALPHAS
    np.testing.assert_array_equal(linear.lrs, LRS)
    for k, alpha in enumerate(ALPHAS):
        assert np.isnan(np.diag(linear.gain[k])).all()
        for i, j in itertools.combinations(range(3), 2):
            planted = gain_of(LRS[i], LRS[j], alpha)
            assert linear.gain[k, i, j] == pytest.approx(planted)
            # Of a linear merge α is the second's share; the task vectors of TIES weigh the same.
            assert linear.gain[len(ALPHAS) - 1 - k, j, i] == pytest.approx(planted)
            assert ties.gain[k, j, i] == pytest.approx(planted)
            # Student's interval of two points .2 apart.
            assert linear.high[k, i, j] - planted == pytest.approx(12.706 * 0.1, rel=1e-3)


def test_the_slider_shows_one_map_and_begins_at_the_best_alpha(across):
    linear, _ = rates_info(across)
    figure = go.Figure(plot_rates(linear, "loss"))
    best = int(np.argmax([np.nanmean(grid) for grid in linear.gain]))
    assert [trace.visible for trace in figure.data] == [index == best for index in range(len(ALPHAS))]
    # Plotly's RdBu begins with blue, whatever its name says.
    assert figure.layout.coloraxis.reversescale
    [slider] = figure.layout.sliders
    assert slider.active == best
    assert [step.label for step in slider.steps] == ["0", "0.25", "0.5", "0.75", "1"]
    for index, step in enumerate(slider.steps):
        assert [at for at, shown in enumerate(step.args[1]) if shown] == [index]


def test_one_alpha_needs_no_slider_and_equal_rates_no_map(across):
    [linear, _] = rates_info(across[across["alpha"] == 0.5])
    assert not plot_rates(linear, "loss")["layout"]["sliders"]
    assert rates_info(across.assign(endpoints='[{"lr": 0.1}, {"lr": 0.1}]')) == []
    assert rates_info(across.assign(status="diverged")) == []


@pytest.fixture(scope="module")
def both():
    """Branched pairs, and independent ones that are merged as they are and after matching."""
    branched = SELECTION.rows(
        table_of(Sweep(noise_scales=(1e-3, 3e-3, 0.01, 0.02, 0.04, 0.08), batch_sizes=(64,)))
    )
    independent = branched.assign(trial="i" + branched["trial"], gain=-2.0)
    matched = independent.assign(gain=branched["gain"] - 0.5, merge_settings='{"align": "weight_matching"}')
    table = pd.concat([branched, independent, matched], ignore_index=True)
    names = table["trial"].unique()
    starts = [json.dumps({"start": "independent" if name[0] == "i" else "trunk"}) for name in names]
    return table, pd.DataFrame({"trial": names, "config": starts})


def test_branched_gains_meet_matched_ones_of_the_same_learning_rate(both):
    info = matching_info(*both, SELECTION)
    assert info.setting == "lr"
    np.testing.assert_allclose(info.table.index, [0.0064, 0.0192, 0.064, 0.128, 0.256, 0.512])
    np.testing.assert_allclose(info.table["branched"] - info.table["matched"], 0.5)
    assert (info.table["matched_low"] < info.table["matched"]).all()
    assert (info.table["branched"] < info.table["branched_high"]).all()
    assert info.correlation.value == pytest.approx(1)
    figure = go.Figure(plot_matching(info))
    assert [trace.x[0] for trace in figure.data] == list(info.table["branched"])
    assert len({(trace.marker.color, trace.marker.symbol) for trace in figure.data}) == 6


def test_one_kind_of_pairs_alone_is_not_compared(both):
    table, trials = both
    assert matching_info(table, trials.assign(config='{"start": "trunk"}'), SELECTION) is None
    assert matching_info(table[table["merge_settings"] == "{}"], trials, SELECTION) is None
