"""Curves: one observation per trial, collapse never helps, and experiments don't mix."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import Sweep, table_of, true_gain

from analysis.critical_point import critical_point
from analysis.table import CONTEXT, Selection, experiments, gain_curve, trial_gains


def pairs(gains: dict[int, list[float | None]], status: str = "ok", trial: str = "t") -> pd.DataFrame:
    """Selected rows of one trial: branch step → gains of its pairs, None where the pair diverged."""
    rows = [
        {
            "run": "r", "trial": trial, "branch_step": step, "noise_scale": 0.01, "lr": 0.1, "batch_size": 64,
            "momentum": 0.9, "weight_decay": 0.0, "augment": "none", "gain": gain,
            "status": "diverged" if gain is None else status,
        }
        for step, values in gains.items()
        for gain in values
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"gain": float})


def test_one_observation_per_trial_at_its_settings(demo_table):
    curve = gain_curve(demo_table, metric="loss", split="validation")
    assert len(curve) == 39
    assert len(set(curve.trial)) == 39
    assert (np.diff(curve.noise_scale) >= 0).all()
    np.testing.assert_allclose(
        curve.noise_scale, curve.lr / (curve.batch_size * (1 - curve.momentum)), rtol=1e-9
    )
    assert set(curve.n) == {3}


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_gains_are_the_planted_ones_within_their_errors(demo_table, metric):
    curve = gain_curve(demo_table, metric=metric, split="test")
    ok = curve.status == "ok"
    planted = np.array([true_gain(s, metric) for s in curve.noise_scale[ok]])
    scores = (curve.gain[ok] - planted) / curve.sem[ok]
    # The standard error is right if standardised errors have about unit size.
    assert 0.6 < np.sqrt(np.mean(scores**2)) < 1.5


def test_collapsed_trials_keep_their_status_and_lose_their_gain(demo_table):
    curve = gain_curve(demo_table)
    assert set(curve.status[curve.noise_scale > 0.15]) == {"diverged"}
    assert np.isnan(curve.gain[curve.status == "diverged"]).all()
    assert np.isnan(curve.sem[curve.status == "diverged"]).all()
    at_chance = curve.status == "at_chance"
    assert set(curve.noise_scale[at_chance]) == {0.0949}
    assert np.isfinite(curve.gain[at_chance]).all()
    assert (curve.collapsed[curve.status == "ok"] == 0).all()


def test_pairs_are_averaged_within_branch_points_first():
    trial = trial_gains(pairs({1: [1.0, 1.0, 1.0, 5.0], 2: [4.0]}))
    assert trial["gain"].item() == 3.0
    assert trial["n"].item() == 2


def test_the_standard_error_is_steadied_by_the_typical_spread():
    rows = pd.concat(
        [pairs({1: [0.0], 2: [2.0], 3: [4.0]}, trial="wide"), pairs({1: [2.0], 2: [2.0], 3: [2.0]}, trial="narrow"),
         pairs({1: [1.0], 2: [2.0], 3: [3.0]}, trial="typical"), pairs({1: [7.0]}, trial="single")]
    )  # fmt: skip
    sem = trial_gains(rows).set_index("trial")["sem"]
    # Variances 4, 0, 1, of which 1 is the median; each is mixed with four degrees of freedom of it.
    assert sem["wide"] == pytest.approx(np.sqrt((2 * 4 + 4) / 6 / 3))
    assert sem["narrow"] == pytest.approx(np.sqrt(4 / 6 / 3))
    assert sem["single"] == pytest.approx(1.0)


gain_lists = st.lists(st.floats(-5, 5, allow_nan=False), min_size=2, max_size=6)


@settings(max_examples=50, deadline=None)
@given(gain_lists, st.integers(1, 5))
def test_collapse_never_improves_a_trial(gains, lost):
    lost = min(lost, len(gains) - 1)
    whole = trial_gains(pairs({step: [gain] for step, gain in enumerate(gains)}))
    survivors = trial_gains(pairs({step: [gain] for step, gain in enumerate(gains[lost:])}))
    partly = trial_gains(pairs({step: [None if step < lost else gain] for step, gain in enumerate(gains)}))
    assert partly["status"].item() == "ok"
    assert partly["collapsed"].item() == pytest.approx(lost / len(gains))
    assert partly["gain"].item() <= survivors["gain"].item() + 1e-12
    assert whole["collapsed"].item() == 0


def test_a_pair_at_chance_counts_as_no_gain_beside_survivors():
    rows = pd.concat([pairs({1: [3.0]}), pairs({2: [0.4]}, status="at_chance")])
    trial = trial_gains(rows)
    assert trial["gain"].item() == 1.5
    assert trial["status"].item() == "ok"


def test_failed_rows_say_nothing():
    rows = pd.concat([pairs({1: [3.0]}), pairs({2: [np.nan]}, status="failed")])
    assert trial_gains(rows)["gain"].item() == 3.0
    assert trial_gains(pairs({2: [np.nan]}, status="failed")).empty


@pytest.mark.parametrize("column", CONTEXT)
def test_a_mixed_selection_is_an_error_that_names_the_way_out(demo_table, column):
    table = demo_table.copy()
    other = 99 if table[column].dtype.kind in "if" else "other"
    table[column] = table[column].where(table["trial"] < "00020", other)
    with pytest.raises(ValueError, match=rf"mixes {column} .*table\[table\.{column} == "):
        gain_curve(table)


def test_trials_may_differ_in_seed_and_branch_points(demo_table):
    table = demo_table[(demo_table["trial"] > "00003") | (demo_table["branch_step"] > 150)].copy()
    table["seed"] = table["trial"].astype(int)
    assert set(gain_curve(table).n) == {2, 3}


def test_trials_of_several_runs_stay_apart(demo_table):
    twice = pd.concat([demo_table, demo_table.assign(run="again")])
    curve = gain_curve(twice)
    assert len(curve) == 78
    assert {"demo/00000", "again/00000"} <= set(curve.trial)


@pytest.mark.parametrize(
    ("field", "value", "held"),
    [
        ("metric", "loos", "accuracy, loss"),
        ("alpha", 0.3, "0.5"),
        ("alpha", None, "0.5"),
        ("split", "ood", "test, train"),
    ],
)
def test_an_empty_selection_says_what_there_is(demo_table, field, value, held):
    with pytest.raises(ValueError, match=f"no records with {field} {value}; .*{held}"):
        gain_curve(demo_table, **{field: value})


def test_merges_without_alpha_are_selected_by_none(demo_table):
    table = pd.concat([demo_table, demo_table.assign(merge="fisher", alpha=np.nan)])
    assert len(Selection(merge="fisher", alpha=None).rows(table)) == len(demo_table) // 12
    assert len(gain_curve(table)) == 39


def test_experiments_are_curves_of_their_own():
    sweep = Sweep(noise_scales=(0.01, 0.02), models=("mlp", "cnn"), weight_decays=(0.0, 5e-4))
    table = table_of(sweep)
    parts = list(experiments(table))
    assert [context for context, _ in parts] == [
        {"model": model, "weight_decay": decay} for model in ("cnn", "mlp") for decay in (0.0, 5e-4)
    ]
    assert sum(len(rows) for _, rows in parts) == len(table)
    for _, rows in parts:
        assert len(gain_curve(rows)) == 6


def test_trials_of_poor_single_models_are_low_and_have_no_gain_to_say(demo_table):
    """Single accuracy falls from 94.7 by 20 S: below 94 beyond S = .033, where gains are still measured."""
    curve = gain_curve(demo_table, min_accuracy=94.0)
    poor = curve.status == "low"
    assert poor.any()
    assert (curve.noise_scale[poor] > 0.03).all()
    assert not (curve.status[curve.noise_scale > 0.04] == "ok").any()
    assert (gain_curve(demo_table).status != "low").all()
    # What they gain doesn't matter: the peak is what it would be had they diverged.
    kept = critical_point(curve.noise_scale, curve.gain, status=curve.status)
    lost = critical_point(curve.noise_scale, np.where(poor, np.nan, curve.gain), status=curve.status)
    assert kept.noise_scale == lost.noise_scale


def test_without_accuracies_no_single_model_is_known_to_be_good_enough(demo_table):
    with pytest.raises(ValueError, match="no records with metric accuracy"):
        gain_curve(demo_table[demo_table["metric"] == "loss"], min_accuracy=50.0)
