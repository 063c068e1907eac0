"""Figures of merges along α, of checkpoint means and of measurements: the planted numbers come back."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from planted import HEIGHT, PEAK, Sweep, true_gain, write_run
from planted_measures import (
    ALPHAS,
    ANCHORS,
    SWA_SHARE,
    XS,
    YS,
    along,
    cka,
    eigenvalue,
    measured_tables,
    plane_value,
    write_measured_run,
)
from scipy import stats

from analysis import report
from analysis.figures.averaging import averaging_info, plot_averaging
from analysis.figures.curvature import curvature_info, plot_curvature
from analysis.figures.means import MOST_LINES, binned, leading_setting, means
from analysis.figures.paths import path_info, plot_paths
from analysis.figures.planes import colour_range, plane_info, plot_planes
from analysis.figures.similarity import plot_similarity, rank_correlation, similarity_info
from analysis.sections import SECTIONS
from analysis.table import Selection

SELECTION = Selection()
SCALES = (1e-3, 3e-3, 0.01, 0.02, 0.04, 0.08, 0.2)


@pytest.fixture(scope="module")
def tables():
    return measured_tables(Sweep(noise_scales=SCALES, batch_sizes=(64,)))


@pytest.fixture(scope="module")
def rows(tables):
    """Records of every merge under the objective's metric, split and batch norm."""
    table, _ = tables
    return table.query("metric == 'loss' and split == 'validation' and batchnorm == 'recalibrated'")


@pytest.fixture(scope="module")
def plain(tables):
    """Records of the objective's merge."""
    return tables[0].query("merge == 'linear' and alpha == 0.5 and merge_settings == '{}'")


def test_means_are_over_branch_points_with_students_interval():
    rows = pd.DataFrame(
        {"lr": 0.1, "trial": "a", "branch_step": [1, 1, 2, 3], "gain": [0.0, 2.0, 3.0, np.nan]}
    )
    [found] = means(rows, ["lr"], "gain").to_dict("records")
    # Branch points 1.0 and 3.0: the pairs of the first are averaged, the third has none.
    expected = stats.ttest_1samp([1.0, 3.0], 0.0).confidence_interval(0.95)
    assert (found["mean"], found["n"]) == (2.0, 2)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    [single] = means(rows.head(2), ["lr"], "gain").to_dict("records")
    assert (single["mean"], single["n"]) == (1.0, 1)
    assert np.isnan(single["low"])


def test_rows_are_compared_by_what_varies():
    rows = pd.DataFrame(
        {"lr": [0.1, 0.2], "batch_size": 64, "momentum": 0.9, "weight_decay": [0.0, 1.0], "augment": "a"}
    )
    assert leading_setting(rows) == "lr"
    assert leading_setting(rows.assign(batch_size=[1, 2])) == "noise_scale"
    assert leading_setting(rows.assign(lr=0.1)) == "weight_decay"
    assert leading_setting(rows.assign(lr=0.1, weight_decay=0.0)) == "lr"


def test_many_values_of_a_setting_are_gathered_near_where_they_are():
    rows = pd.DataFrame({"lr": np.geomspace(1e-3, 1.0, 50)})
    placed = binned(rows, "lr")
    assert placed["at"].nunique() == MOST_LINES
    width = 1000 ** (0.5 / MOST_LINES) * 1.001
    assert (np.abs(np.log(placed["at"] / placed["lr"])) <= np.log(width)).all()
    assert (binned(rows.head(5), "lr")["at"] == rows["lr"].head(5)).all()


def test_gain_along_alpha_falls_as_planted(rows):
    info = path_info(rows, "loss")
    assert (info.setting, list(info.merges)) == ("lr", ["linear", "task arithmetic", "ties, density 0.2"])
    for table in info.merges.values():
        # All but the largest noise, at which everything diverged.
        assert table.groupby("at")["alpha"].apply(tuple).to_list() == [ALPHAS] * 6
        middle = table[table["alpha"] == 0.5].set_index("at")["mean"]
        for _, row in table.iterrows():
            lost = along(row["alpha"], row["at"] / (64 * 0.1))
            assert row["mean"] == pytest.approx(middle[row["at"]] - lost)
            assert row["low"] < row["mean"] < row["high"]
        truth = [true_gain(lr / 6.4, "loss") for lr in middle.index]
        np.testing.assert_allclose(middle, truth, atol=4 * 0.07 * HEIGHT["loss"])


def test_the_lines_of_a_value_look_the_same_in_every_panel(rows):
    figure = go.Figure(plot_paths(path_info(rows, "loss")))
    assert [note.text for note in figure.layout.annotations] == [
        "linear",
        "task arithmetic",
        "ties, density 0.2",
    ]
    assert {trace.xaxis for trace in figure.data} == {"x", "x2", "x3"}
    looks = {(trace.name, trace.line.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == 6
    assert sum(bool(trace.showlegend) for trace in figure.data) == 6


def test_two_coefficients_make_no_path(rows):
    assert path_info(rows[rows["alpha"].isin([0.25, 0.5])], "loss") is None
    assert path_info(rows[rows["status"] == "diverged"], "loss") is None


def test_planes_are_of_least_best_and_most_noise_with_anchors_in_place(tables, plain):
    planes = plane_info(tables[1], plain, SELECTION, PEAK)
    assert [plane.noise_scale for plane in planes] == [0.001, 0.02, 0.08]
    for plane in planes:
        assert plane.branch_epoch == 45
        np.testing.assert_array_equal(plane.x, XS)
        np.testing.assert_array_equal(plane.y, YS)
        np.testing.assert_allclose(plane.values, [[plane_value(x, y, "loss") for x in XS] for y in YS])
        assert [anchor[:2] for anchor in plane.anchors.values()] == ANCHORS
        assert [anchor[2] for anchor in plane.anchors.values()] == [
            plane_value(*at, "loss") for at in ANCHORS
        ]


def test_a_peak_at_an_end_still_gives_three_planes(tables, plain):
    planes = plane_info(tables[1], plain, SELECTION, 1e-5)
    assert [plane.noise_scale for plane in planes] == [0.001, 0.02, 0.08]
    assert len(plane_info(tables[1], plain[plain["noise_scale"] < 0.01], SELECTION, 1e-5)) == 2
    assert plane_info(tables[1], plain, Selection(split="train"), PEAK) == []


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_colours_tell_the_best_point_from_the_networks(tables, plain, metric):
    planes = plane_info(tables[1], plain, Selection(metric=metric), PEAK)
    low, high = colour_range(planes, metric)
    best = plane_value(7.0, 4.0, metric)
    assert best == pytest.approx(low if metric == "loss" else high)
    assert all(low <= plane_value(*at, metric) <= high for at in ANCHORS)
    figure = go.Figure(plot_planes(planes, metric))
    assert [trace.type for trace in figure.data] == ["contour", "scatter"] * 3
    assert bool(figure.layout.coloraxis.reversescale) == (metric == "loss")
    assert figure.layout.yaxis2.scaleanchor == "x2"


def test_cka_meets_the_gain_of_its_trial(tables, plain):
    info = similarity_info(tables[1], plain, SELECTION)
    assert list(info.marks["noise_scale"]) == list(SCALES[:-1])
    np.testing.assert_allclose(info.marks["cka"], [cka(scale) for scale in SCALES[:-1]])
    np.testing.assert_allclose(info.marks["cka"] - info.marks["cka_debiased"], 0.02)
    assert info.correlation.n == 6
    figure = go.Figure(plot_similarity(info))
    np.testing.assert_array_equal(figure.data[0].x, info.marks["cka"])
    assert list(figure.data[0].text) == list(info.marks["trial"])
    assert similarity_info(tables[1].iloc[:0], plain, SELECTION) is None


def test_rank_correlation_is_spearmans_with_an_interval_that_covers():
    x = pd.Series(np.arange(8.0))
    perfect = rank_correlation(x, -(x**3))
    assert perfect.value == pytest.approx(-1)
    assert -1 <= perfect.low <= perfect.high < -0.99
    assert rank_correlation(x, x * 0) is None
    assert rank_correlation(x.head(4), x.head(4)) is None
    rng = np.random.default_rng(0)
    drawn = [
        rank_correlation(pd.Series(rng.normal(size=30)), pd.Series(rng.normal(size=30))) for _ in range(300)
    ]
    covered = np.mean([found.low <= 0 <= found.high for found in drawn])
    # 95% of 300, give or take three standard errors.
    assert abs(covered - 0.95) < 0.038


def test_eigenvalues_rise_with_the_learning_rate_as_planted(tables, plain):
    info = curvature_info(tables[1], plain)
    assert (info.setting, len(info.table)) == ("lr", 8 * 6)
    for _, row in info.table.iterrows():
        # The endpoints' factors, .9 and 1.1, cancel.
        assert row["mean"] == pytest.approx(eigenvalue(row["at"], int(row["index"])))
    figure = go.Figure(plot_curvature(info))
    assert [trace.name for trace in figure.data][:2] == ["λ₁", "λ₂"]
    assert figure.layout.yaxis.type == "log"
    assert curvature_info(tables[1][tables[1]["name"] == "cka"], plain) is None


def test_swa_stands_beside_the_same_merge_of_endpoints(rows):
    info = averaging_info(rows, SELECTION)
    gains = info.gain.pivot(index="at", columns="swa", values="mean")
    assert list(gains.columns) == [0, 5]
    np.testing.assert_allclose(gains[5], SWA_SHARE * gains[0])
    merged = info.merged.pivot(index="at", columns="swa", values="mean")
    np.testing.assert_allclose(merged[0] + gains[0], merged[5] + gains[5])
    figure = go.Figure(plot_averaging(info))
    assert [trace.name for trace in figure.data] == ["endpoints", "mean of the last 5"] * 2
    assert averaging_info(rows[rows["merge_settings"] == "{}"], SELECTION) is None


def test_swa_with_other_settings_is_another_merge(rows):
    aligned = rows.assign(merge_settings=json.dumps({"align": "weight_matching", "swa": 5}))
    assert averaging_info(aligned, SELECTION) is None


MEASURED = ["paths", "averaging", "planes", "similarity", "curvature"]


def drawn(path):
    """Run, and names of the figures of `MEASURED` by section, in the view with which the page opens."""
    [run] = report.read_runs(path)
    view = next(iter(next(report.run_experiments(run)).values()))
    contents = {section.anchor: section.content(view) for section in SECTIONS if section.anchor in MEASURED}
    return view, {anchor: [each.name for each in content.drawings] for anchor, content in contents.items()}


def test_a_run_with_measures_shows_each_in_a_section(tmp_path):
    view, found = drawn(
        write_measured_run(tmp_path / "run", Sweep(noise_scales=SCALES[2:5], batch_sizes=(64,)))
    )
    assert view.context == {"merge_settings": "{}"}
    assert found == {anchor: [anchor] for anchor in MEASURED}


def test_a_run_without_measures_has_no_such_section_and_reads_no_measurements(tmp_path):
    view, found = drawn(write_run(tmp_path / "run", Sweep(noise_scales=(0.01,), batch_sizes=(64,))))
    assert found == {anchor: [] for anchor in MEASURED}
    assert "measurements" not in vars(view.run)
