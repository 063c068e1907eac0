import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from analysis.records import MergeRecord
from analysis.table import Selection, trial_gains
from search_spaces.recipe import Search
from sweeper.measuring import floor_of, objective, objective_sem

COLUMNS = {
    **dict.fromkeys(("run", "trial", "recipe", "task", "model", "optimizer", "augment"), "x"),
    **dict.fromkeys(("key_a", "key_b", "endpoints", "merge_settings"), "x"),
    **dict.fromkeys(("attempt", "seed", "branch_step"), 0),
    **dict.fromkeys(("lr", "momentum", "weight_decay", "noise_scale", "branch_epoch"), 0.1),
    **dict.fromkeys(("f_merged", "f_a", "f_b", "f_mean", "gain"), 1.0),
    **asdict(Selection()),
    "batch_size": 16,
    "n_endpoints": 2,
    "eval_task": "x",
    "status": "ok",
}
LOST = {"status": "diverged", "gain": None, "f_merged": None}
BEST = {"gain": 99.0, "f_merged": -99.0}


def told(*records: dict[str, object], **search: object) -> float | None:
    made = [MergeRecord.model_validate({**COLUMNS, **record}) for record in records]
    return objective(made, Search(trials=1, **search), Selection(metric=str(search.get("metric", "loss"))))


def test_it_is_the_mean_gain_of_pairs_and_branch_points():
    assert told({"gain": 0.1}, {"gain": 0.3}, {"gain": 0.5, "branch_step": 9}) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "other",
    [
        {"metric": "accuracy"},
        {"split": "test"},
        {"merge": "ties"},
        {"alpha": 0.25},
        {"batchnorm": "averaged"},
        {"eval_task": "another"},
    ],
    ids=str,
)
def test_only_the_selection_counts(other):
    assert told({"gain": 0.1}, {**BEST, **other}) == pytest.approx(0.1)
    assert told({**BEST, **other}) is None


def test_the_merged_network_itself_can_be_the_objective():
    assert told({"f_merged": 0.4}, objective="merged") == pytest.approx(-0.4)
    assert told({"f_merged": 90.0, "metric": "accuracy"}, objective="merged", metric="accuracy") == 90.0


@pytest.mark.parametrize(
    ("search", "floor"),
    [
        ({}, -3.0),
        ({"metric": "accuracy"}, -10.0),
        ({"objective": "merged"}, -10.0),
        ({"objective": "merged", "metric": "accuracy"}, 0.0),
        ({"floor": -0.5}, -0.5),
    ],
    ids=str,
)
def test_nothing_is_below_the_floor(search, floor):
    metric = {"metric": search.get("metric", "loss")}
    assert floor_of(Search(trials=1, **search)) == floor
    assert told({**LOST, **metric}, **search) == floor
    assert told({"status": "at_chance", **BEST, **metric}, **search) == floor
    if search.get("objective") != "merged":
        assert told({"gain": -1e30, **metric}, **search) == floor
        assert math.isfinite(told({"gain": -1e308, **metric}, {"gain": -1e308, **metric}, **search))


@pytest.mark.parametrize("lost", [LOST, {"status": "at_chance", **BEST}], ids=["diverged", "at_chance"])
@pytest.mark.parametrize("gains", [[0.4, 0.8], [-0.2, -0.6], [0.5, -1.5]], ids=str)
def test_search_and_report_count_collapsed_pairs_alike(gains, lost):
    steps = [{"branch_step": step} for step in range(4)]
    values = [{"gain": gains[0]}, lost, {"gain": gains[1]}, lost]
    records = [{**step, **value} for step, value in zip(steps, values, strict=True)]
    table = pd.DataFrame([{**COLUMNS, **record} for record in records]).astype({"gain": float})
    assert told(*records) == pytest.approx(trial_gains(table)["gain"].item())
    assert told(*records) == pytest.approx(np.mean([*gains, *[min(0.0, np.mean(gains))] * 2]))


def test_a_collapsed_merge_is_the_floor_where_the_merged_network_is_the_objective():
    assert told({"f_merged": 0.4}, {**LOST, "branch_step": 9}, objective="merged") == (-0.4 - 10.0) / 2


def sem(*records: dict[str, object]) -> float | None:
    made = [MergeRecord.model_validate({**COLUMNS, **record}) for record in records]
    return objective_sem(made, Search(trials=1), Selection())


def test_the_standard_error_is_that_of_branch_points_or_of_the_only_ones_pairs():
    two = [{"gain": 0.1}, {"gain": 0.3}, {"gain": 0.6, "branch_step": 9}]
    assert sem(*two) == pytest.approx(0.4 / 2)
    assert sem(*two[:2]) == pytest.approx(0.1)
    assert sem(two[0]) is None
    assert sem(*two, LOST) is None


def test_a_trial_below_the_least_accuracy_is_low_whatever_it_gains():
    accuracies = [{"metric": "accuracy", "f_mean": 40.0}, {"metric": "accuracy", "f_mean": 60.0}]
    assert told({"gain": 0.5}, *accuracies, min_accuracy=50.0) == 0.5
    assert told({"gain": 0.5}, *accuracies, min_accuracy=50.1) == -3.0
    other = {"metric": "accuracy", "f_mean": 99.0, "split": "test"}
    assert told({"gain": 0.5}, *accuracies, other, min_accuracy=50.1) == -3.0
    assert told({"gain": 0.5}, {"metric": "accuracy", **LOST, "f_mean": None}, min_accuracy=1.0) == -3.0
