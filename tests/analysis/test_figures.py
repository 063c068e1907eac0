"""The numbers in the figures, and that the pictures show them without a cloud button or colour alone."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from planted import HEIGHT, Sweep, table_of, true_gain

from analysis.collapse import collapse
from analysis.critical_point import Location
from analysis.figures import style
from analysis.figures.accuracy import plot_single, single_info
from analysis.figures.axes import AXES, axes_info, plot_axes
from analysis.figures.boxes import MOST_BOXES, gain_boxes_info, plot_boxes, training_loss_info
from analysis.figures.health import MOST_BARS, STATES, health_info, plot_health
from analysis.figures.marks import MOST_GROUPS, MOST_MARKS, marks
from analysis.figures.noise import noise_info, plot_noise
from analysis.figures.overlay import overlay_info, plot_overlay
from analysis.figures.peaks import plot_peaks
from analysis.figures.residuals import plot_residuals, residual_info
from analysis.figures.trace import plot_trace, trace_info
from analysis.reading import read_trials
from analysis.table import Selection, gain_curve, trial_gains
from analysis.verdict import find_peak, gain_at

SELECTION = Selection()


def marked(spec):
    """Traces whose marks are trials, as Plotly understands them."""
    return [trace for trace in go.Figure(spec).data if trace.text is not None]


@pytest.fixture(scope="module")
def curve(demo_table):
    return gain_curve(demo_table)


@pytest.fixture(scope="module")
def point(curve):
    return find_peak(curve)


def test_noise_info_holds_every_trial_once_by_batch_size(curve, point):
    info = noise_info(curve, point, SELECTION)
    assert list(info.marks) == [16, 64, 128]
    assert sorted(trial for part in info.marks.values() for trial in part["trial"]) == sorted(curve.trial)
    for size, part in info.marks.items():
        assert (part["batch_size"] == size).all()
    assert info.bottom < np.nanmin(curve.gain) < np.nanmax(curve.gain) < info.top


def test_the_trio_draws_the_same_gains_against_three_settings(curve, point):
    trials = marked(plot_noise(noise_info(curve, point, SELECTION)))
    assert len(trials) == 9
    for first, second, third in zip(trials[::3], trials[1::3], trials[2::3], strict=True):
        assert first.text == second.text == third.text
        np.testing.assert_array_equal(first.y, third.y)
        np.testing.assert_allclose(third.x, first.x / (second.x * (1 - 0.9)))
    styles = {(trace.marker.color, trace.marker.symbol[0]) for trace in trials}
    assert len(styles) == len({colour for colour, _ in styles}) == len({symbol for _, symbol in styles}) == 3


def test_the_noise_panel_shows_the_curve_its_band_and_the_interval(curve, point):
    figure = go.Figure(plot_noise(noise_info(curve, point, SELECTION)))
    band, mean = (trace for trace in figure.data if trace.legendgroup == "curve, 95% band")
    size = len(point.curve.mean)
    np.testing.assert_array_equal(band.y[:size], point.curve.high)
    np.testing.assert_array_equal(band.y[size:], point.curve.low[::-1])
    np.testing.assert_array_equal(mean.y, point.curve.mean)
    rectangle, line = figure.layout.shapes
    assert (rectangle.x0, rectangle.x1, line.x0) == (point.low, point.high, point.noise_scale)
    assert rectangle.xref == line.xref == "x3"


def test_the_trio_stands_without_a_point_and_without_a_gain(demo_table):
    diverged = demo_table.assign(status="diverged", gain=np.nan)
    figure = plot_noise(noise_info(gain_curve(diverged), None, SELECTION))
    assert not figure["layout"]["shapes"]
    assert all(np.isfinite(trace.y).all() for trace in marked(figure))


def test_one_merge_that_fails_by_far_does_not_flatten_the_others(demo_table, point):
    table = demo_table.copy()
    first = table["trial"] == "00000"
    table.loc[first, "gain"] = -50.0
    info = noise_info(gain_curve(table), point, SELECTION)
    assert info.bottom > -1.0
    drawn = marked(plot_noise(info))
    assert drawn[0].y[0] == info.bottom
    assert drawn[0].customdata[0][2].startswith("-50 ")
    boxes, single = gain_boxes_info(table, "batch_size", SELECTION), single_info(table, SELECTION)
    for spec in (plot_boxes(boxes), plot_single(single)):
        assert spec["layout"]["yaxis"]["range"][0] > -1.0
    assert style.gain_range([-3.0, -1.0])[0] < -3.0


def test_boxes_hold_the_gains_of_pairs_at_each_value(demo_table):
    info = gain_boxes_info(demo_table, "batch_size", SELECTION)
    [boxes] = info.facets.values()
    rows = SELECTION.rows(demo_table)
    assert [box.label for box in boxes] == ["16", "64", "128"]
    for box in boxes:
        here = rows[rows["batch_size"] == int(box.label)]
        assert sorted(box.values) == sorted(here.loc[here["status"] == "ok", "gain"])
        assert box.collapsed == (here["status"] != "ok").sum() == 9
        assert box.median == pytest.approx(here.loc[here["status"] == "ok", "gain"].median())


def test_many_values_are_gathered_into_bins_that_lose_nothing(demo_table):
    info = gain_boxes_info(demo_table, "lr", SELECTION)
    [boxes] = info.facets.values()
    assert 1 < len(boxes) <= MOST_BOXES
    rows = SELECTION.rows(demo_table)
    assert rows["lr"].nunique() > MOST_BOXES
    assert sum(len(box.values) + box.collapsed for box in boxes) == len(rows)
    # At B (1 − μ) of 1.6 to 12.8, every learning rate above 2 is beyond the cliff.
    assert len(boxes[-1].values) == 0
    assert boxes[-1].collapsed == 15


def test_boxes_are_faceted_by_what_sets_experiments_apart_but_not_by_the_setting_itself():
    table = table_of(Sweep(noise_scales=(0.01, 0.02), models=("mlp", "cnn"), weight_decays=(0.0, 5e-4)))
    by_decay = gain_boxes_info(table, "weight_decay", SELECTION)
    assert list(by_decay.facets) == ["model cnn", "model mlp"]
    assert [box.label for box in by_decay.facets["model mlp"]] == ["0", "0.0005"]
    by_rate = gain_boxes_info(table, "lr", SELECTION)
    assert len(by_rate.facets) == 4
    assert "model cnn, weight decay 0.0005" in by_rate.facets
    assert len(plot_boxes(by_decay)["layout"]["annotations"]) == 2


def test_a_box_in_which_all_collapsed_keeps_its_place(demo_table):
    info = gain_boxes_info(demo_table, "lr", SELECTION)
    [boxes] = info.facets.values()
    axis = plot_boxes(info)["layout"]["xaxis"]
    assert axis["tickvals"] == list(range(len(boxes)))
    assert axis["range"] == [-0.5, len(boxes) - 0.5]
    assert axis["ticktext"][-1].endswith("<i>15 lost</i>")


def test_training_loss_is_that_of_endpoints_once_per_pair(demo_table):
    more = pd.concat([demo_table, demo_table.assign(alpha=0.3, f_merged=99.0)])
    [boxes] = training_loss_info(more, "batch_size").facets.values()
    rows = demo_table.query("metric == 'loss' and split == 'train' and batchnorm == 'recalibrated'")
    known = rows.loc[(rows["batch_size"] == 16) & (rows["status"] != "diverged"), "f_mean"]
    assert sorted(boxes[0].values) == sorted(known)


def test_training_loss_that_was_not_measured_is_an_error_with_a_way_out(demo_table):
    with pytest.raises(ValueError, match="add train to measures/splits"):
        training_loss_info(demo_table[demo_table["split"] != "train"], "lr")


def test_single_info_has_the_living_pairs_and_their_age(demo_table):
    selection = Selection(metric="accuracy", split="test")
    info = single_info(demo_table, selection)
    rows = selection.rows(demo_table).query("status == 'ok'")
    np.testing.assert_array_equal(info.single, rows["f_mean"])
    np.testing.assert_array_equal(info.gain, rows["gain"])
    assert dict(zip(info.epoch, info.opacity, strict=True)) == {
        15.0: 0.25,
        30.0: 0.625,
        45.0: 1.0,
    }
    drawn = go.Figure(plot_single(info))
    assert sum(len(trace.x) for trace in drawn.data) == len(rows)
    assert len({trace.marker.symbol for trace in drawn.data}) == 3


def test_health_counts_every_trial_once(curve, demo_run):
    trials = read_trials(demo_run)
    info = health_info(curve, trials)
    assert info.counts == {
        "ok": 30, "partly collapsed": 0, "too inaccurate": 0, "at chance": 3, "diverged": 6, "failed": 0, "running": 0,
    }  # fmt: skip
    np.testing.assert_array_equal(info.noise_scale, np.unique(curve.noise_scale))
    assert sum(heights.sum() for heights in info.by_noise.values()) == 39
    assert {bar["name"] for bar in plot_health(info)["data"]} == {"ok", "at chance", "diverged"}


def test_health_tells_running_and_failed_trials_from_the_others(curve, demo_run):
    trials = read_trials(demo_run)
    trials.loc[trials["trial"] < "00005", "status"] = "running"
    begun = pd.concat([trials, trials.tail(1).assign(trial="99999", status="failed")])
    info = health_info(curve, begun)
    assert info.counts["running"] == 5
    assert info.counts["failed"] == 1
    assert sum(info.counts.values()) == len(begun)
    assert info.by_noise["running"].sum() == 5


def test_health_of_many_noise_scales_is_binned_without_loss(demo_run):
    table = table_of(Sweep(noise_scales=tuple(np.geomspace(1e-4, 0.3, 60)), batch_sizes=(64,)))
    info = health_info(gain_curve(table), read_trials(demo_run))
    assert len(info.noise_scale) == MOST_BARS
    assert sum(heights.sum() for heights in info.by_noise.values()) == 60


def test_partly_collapsed_trials_are_shown_as_such(demo_run):
    table = table_of(Sweep(noise_scales=(0.01, 0.02), batch_sizes=(64,)))
    late = (table["trial"] == "00000") & (table["branch_step"] == 450)
    table.loc[late, ["status", "gain"]] = ["diverged", np.nan]
    assert health_info(gain_curve(table), read_trials(demo_run)).counts["partly collapsed"] == 1


def test_health_of_no_trials_is_all_zero(demo_run):
    info = health_info(None, read_trials(demo_run).iloc[:0])
    assert info.counts == dict.fromkeys(STATES, 0)


def test_settings_differ_in_colour_and_in_shape():
    styles = style.style_by(range(56))
    assert len(set(styles.values())) == 56
    assert all(len({pair[i] for pair in list(styles.values())[:7]}) == 7 for i in (0, 1))


def test_no_cloud_button_and_no_logo():
    assert style.CONFIG["displaylogo"] is False
    assert "sendChartToCloud" in style.CONFIG["modeBarButtonsToRemove"]


def test_trials_are_marks_of_their_own_up_to_a_limit_and_then_groups_that_lose_none():
    trials = trial_gains(SELECTION.rows(table_of(Sweep(noise_scales=tuple(np.geomspace(1e-4, 0.3, 600))))))
    each, gathered = marks(trials.head(MOST_MARKS)), marks(trials)
    assert list(each["trials"]) == [1] * MOST_MARKS
    assert len(gathered) <= MOST_GROUPS
    assert gathered["trials"].sum() == len(trials) == 1800
    ok = gathered[gathered["status"] == "ok"]
    assert (ok["low"] < ok["gain"]).all()
    assert (ok["gain"] < ok["high"]).all()
    planted = np.array([true_gain(s, "loss") for s in ok["noise_scale"]])
    # The median of some ten trials of three pairs each, of noise .07.
    assert np.abs(ok["gain"] - planted).max() < 0.05 * HEIGHT["loss"]
    assert (gathered.loc[gathered["status"] == "diverged", "noise_scale"] > 0.15).all()


def test_pairs_beyond_a_limit_are_averaged_by_trial():
    table = table_of(Sweep(noise_scales=tuple(np.geomspace(1e-4, 0.05, 500))))
    info = single_info(table, SELECTION)
    assert info.pairs == 4500
    assert len(info.gain) == len(set(info.trial)) == 1500
    rows = SELECTION.rows(table)
    assert info.gain[info.trial == "00007"] == pytest.approx(
        rows.loc[rows["trial"] == "00007", "gain"].mean()
    )
    drawn = plot_boxes(gain_boxes_info(table, "batch_size", SELECTION))["data"]
    assert {trace["type"] for trace in drawn} == {"box"}


def test_boxes_reach_from_quartile_to_quartile(demo_table):
    [boxes] = gain_boxes_info(demo_table, "batch_size", SELECTION).facets.values()
    drawn = plot_boxes(gain_boxes_info(demo_table, "batch_size", SELECTION))["data"]
    for box, trace, points in zip(boxes, drawn[::2], drawn[1::2], strict=True):
        inside = (box.values >= trace["q1"][0]) & (box.values <= trace["q3"][0])
        assert inside.mean() == pytest.approx(0.5, abs=2 / len(box.values))
        assert set(points["text"]) == set(box.trials)


def test_residuals_are_what_the_curve_leaves(curve, point):
    info = residual_info(curve, point, SELECTION)
    for size, table in info.marks.items():
        assert (table["status"] == "ok").all()
        for _, row in table.iterrows():
            expected, _, _ = gain_at(point, row["noise_scale"])
            assert expected > 0
            assert row["residual"] == pytest.approx(row["gain"] - expected)
        assert info.means.loc[size, "mean"] == pytest.approx(table["residual"].mean())


def test_every_axis_places_trials_by_their_settings(demo_table):
    info = axes_info(demo_table, SELECTION)
    assert info.facets == ["batch_size"]
    for table in info.marks.values():
        np.testing.assert_allclose(table["lr/batch_size"], table["noise_scale"] * 0.1)
        np.testing.assert_allclose(table["lr/sqrt(batch_size)"] ** 2, table["lr"] * table["lr/batch_size"])
        np.testing.assert_allclose(table["lr*weight_decay"], table["lr"] * 5e-4)
    explore = plot_axes(info)["explore"]
    assert list(explore["axes"]) == list(AXES)
    fitted = collapse(demo_table)
    table = axes_info(demo_table, SELECTION, fitted).marks[16]
    np.testing.assert_allclose(table["fitted"], table["lr"] / (16 ** round(fitted.b.value, 2) * 0.1))
    for trace, columns in zip(plot_axes(info)["data"], explore["columns"], strict=True):
        assert all(len(values) == len(trace["text"]) for values in columns.values())


def test_the_trace_ends_where_the_verdict_is(curve, point, demo_run):
    info = trace_info(curve, read_trials(demo_run))
    assert info.trials[0] == 5
    assert info.trials[-1] == 39
    assert (np.diff(info.epochs) > 0).all()
    assert info.epochs[-1] == 39 * 93.0
    assert info.median[-1] == np.median(point.draws)
    near = (point.draws > info.median[-1] / 1.25) & (point.draws < info.median[-1] * 1.25)
    assert info.mass[-1] == pytest.approx(near.mean(), abs=0.01)
    assert trace_info(curve, read_trials(demo_run).head(4)) is None


def test_plotly_accepts_every_figure(curve, point, demo_table, demo_run):
    trials = read_trials(demo_run)
    specs = [
        plot_noise(noise_info(curve, point, SELECTION)),
        plot_residuals(residual_info(curve, point, SELECTION)),
        plot_axes(axes_info(demo_table, SELECTION)),
        plot_boxes(gain_boxes_info(demo_table, "lr", SELECTION)),
        plot_single(single_info(demo_table, SELECTION)),
        plot_health(health_info(curve, trials)),
        plot_trace(trace_info(curve, trials)),
        plot_peaks({16: Location(0.02, 0.01, 0.03), 64: Location(0.03, 0.02, 0.05)}, point),
        plot_overlay(overlay_info("loss", [("a", curve, point), ("b", curve, None)])),
    ]
    for spec in specs:
        assert spec["data"]
        go.Figure({name: spec[name] for name in ("data", "layout")})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0156251, "0.0156"), (123456.0, "123456"), (2.3e-5, "2.3e-05"), (np.nan, "–")],
)
def test_numbers_are_short(value, text):
    assert style.number(value) == text


def test_axes_are_logarithmic_where_all_values_are_positive(curve, point):
    layout = plot_noise(noise_info(curve, point, SELECTION))["layout"]
    assert {layout[axis]["type"] for axis in ("xaxis", "xaxis2", "xaxis3")} == {"log"}
    assert style.log_axis([0.0, 0.1])["type"] == "linear"
