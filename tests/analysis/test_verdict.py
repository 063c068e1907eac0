"""What a run says: the peak on its objective, the learning rates that follow, and what to be careful about."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from planted import PEAK, Sweep, table_of

from analysis.critical_point import critical_point
from analysis.reading import read_records
from analysis.recommend import recommend_info
from analysis.table import Selection, gain_curve
from analysis.verdict import find_peak, headline, judge, objective_selection, verdict
from search_spaces import load_recipe
from search_spaces.noise import noise_scale


def test_the_verdict_finds_the_planted_peak_on_the_objective(demo_run):
    found = verdict(demo_run)
    assert found.selection == Selection("loss", "validation", "linear", 0.5, "recalibrated")
    assert found.point.low <= PEAK <= found.point.high
    assert found.point.hump
    assert found.reason == ""
    curve = gain_curve(read_records(demo_run), **asdict(found.selection))
    assert found.point.noise_scale == find_peak(curve).noise_scale


def test_many_trials_are_gathered_and_give_the_same_peak():
    table = table_of(Sweep(noise_scales=tuple(np.geomspace(3e-4, 0.3, 134))))
    curve = gain_curve(table)
    assert len(curve) == 402
    point = find_peak(curve)
    assert point.n < 210
    assert point.low <= PEAK <= point.high
    alone = critical_point(
        curve.noise_scale, curve.gain, sem=curve.sem, group=curve.trial, status=curve.status
    )
    assert point.noise_scale == pytest.approx(alone.noise_scale, rel=0.1)


def test_recommended_rates_have_the_noise_scale_of_the_peak(demo_run):
    found = verdict(demo_run)
    assert [each.batch_size for each in found.recommendations] == [16, 64, 128]
    for each in found.recommendations:
        assert noise_scale(each.lr, each.batch_size, each.momentum) == pytest.approx(found.point.noise_scale)
        assert noise_scale(each.low, each.batch_size, 0.9) == pytest.approx(found.point.low)
        assert noise_scale(each.high, each.batch_size, 0.9) == pytest.approx(found.point.high)
        assert each.gain_low <= each.gain <= each.gain_high


def test_the_test_split_is_reported_at_the_point_selected_on_validation(demo_run):
    found = verdict(demo_run)
    assert list(found.reported) == ["test"]
    mean, low, high = found.reported["test"]
    test = find_peak(gain_curve(read_records(demo_run), split="test")).curve
    at = np.abs(np.log(test.noise_scale / found.point.noise_scale)).argmin()
    assert (mean, low, high) == pytest.approx((test.mean[at], test.low[at], test.high[at]), rel=0.05)


def test_recommend_takes_any_batch_size_and_momentum_and_says_what_was_not_swept(demo_run):
    point = verdict(demo_run).point
    within, between = recommend_info(demo_run, 64), recommend_info(demo_run, 32)
    beyond = recommend_info(demo_run, 1024, momentum=0.5)
    assert within.note == ""
    assert "32 was not swept" in between.note
    assert "1024 is outside of the swept 16 to 128" in beyond.note
    assert beyond.lr == pytest.approx(point.noise_scale * 1024 * 0.5)


def test_recommend_refuses_what_has_no_answer(demo_run, make_run):
    with pytest.raises(ValueError, match=r"momentum 1\.0 is outside"):
        recommend_info(demo_run, 64, momentum=1.0)
    few = make_run(noise_scales=(0.01,))
    with pytest.raises(ValueError, match="at least 5 trials, got 3"):
        recommend_info(few, 64)


def test_adamw_is_recommended_on_its_own_axis(make_run):
    table = read_records(make_run()).assign(optimizer="adamw")
    found = judge(table, Selection())
    assert found.recommendations[1].lr == pytest.approx(found.point.noise_scale * math.sqrt(64))
    assert any("lr / √B" in text for text in found.warnings)


def test_a_peak_at_the_edge_is_warned_of(make_run):
    rising = make_run(noise_scales=tuple(np.geomspace(3e-4, 0.01, 9)))
    found = verdict(rising)
    assert not found.point.interior
    assert found.point.finding == "upper edge"
    assert np.isnan([found.point.low, found.point.high]).all()
    assert headline(found.point).startswith("Edge of the range")
    assert any("towards its upper end, 0.01" in text for text in found.warnings)
    assert all(math.isnan(each.low) and each.lr > 0 for each in found.recommendations)


@pytest.mark.parametrize(
    ("shape", "finding", "said"),
    [(np.zeros_like, "no hump", "No hump"), (lambda x: 0.5 * x, "upper edge", "Edge of the range"),
     (lambda x: -0.5 * x, "lower edge", "Edge of the range")],
)  # fmt: skip
def test_without_an_interior_peak_there_is_no_interval(shape, finding, said):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-3, 0, 24)
        point = critical_point(10**x, 1 + shape(x) + 0.1 * rng.standard_normal(24), seed=seed)
        assert (point.finding, point.hump) == (finding, False)
        assert math.isnan(point.low)
        assert math.isnan(point.high)
        assert headline(point).startswith(said)
        assert "interval" not in headline(point)


def test_one_batch_size_cannot_test_the_collapse(make_run):
    assert any("One batch size" in text for text in verdict(make_run(batch_sizes=(64,))).warnings)


def test_the_objective_of_the_recipe_is_what_is_shown():
    recipe = load_recipe("digits").model_dump(mode="json")
    recipe["search"] |= {"metric": "accuracy", "split": "test"}
    recipe["merges"] = [{"kind": "ties", "alphas": [0.3, 0.7, 1.0], "group": 3}]
    recipe["measures"]["batchnorm"] = ["averaged"]
    assert objective_selection(recipe) == Selection("accuracy", "test", "ties", 0.7, "averaged")
    recipe["merges"] = [{"kind": "linear", "alphas": [0.0, 0.5, 1.0], "group": 2}]
    assert objective_selection(recipe).alpha == 0.5
    recipe["merges"] = [{"kind": "linear", "alphas": [0.5], "group": 3}]
    assert objective_selection(recipe).alpha is None, "the mean of three has none"
