"""Spaces compile for Optuna and back without loss."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.space import Space
from sweeper.tuning.search.space import distributions, to_params, to_point

SPACES = [
    {"train/lr": {"low": 1e-4, "high": 1.0, "log": True}, "train/batch_size": {"values": [16, 64]}},
    {"seed": {"low": 0, "high": 3}, "model": {"values": [{"name": "mlp"}, {"name": "resnet8", "width": 8}]}},
    {
        "points": [{"train/lr": 0.1, "trunk/epochs": 20}, {"train/lr": 0.01, "trunk/epochs": 40}],
        "train/momentum": {"values": [0, 0.9]},
    },
]


@pytest.mark.parametrize("declared", SPACES)
@given(seed=st.integers(0, 2**16))
def test_a_point_survives_the_way_to_optuna_and_back(declared, seed):
    space = Space.model_validate(declared)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    params = study.ask(fixed_distributions=distributions(space)).params
    point = to_point(space, params)
    assert set(point) == set(space.paths)
    assert to_params(space, point) == params


def test_bounds_are_inclusive_on_both_sides():
    space = Space.model_validate({"seed": {"low": 0, "high": 3}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = {study.ask(fixed_distributions=distributions(space)).params["seed"] for _ in range(100)}
    assert drawn == {0, 1, 2, 3}


def test_tied_points_stay_tied():
    space = Space.model_validate(SPACES[2])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = {
        (point["train/lr"], point["trunk/epochs"])
        for point in (
            to_point(space, study.ask(fixed_distributions=distributions(space)).params) for _ in range(50)
        )
    }
    assert seen == {(0.1, 20), (0.01, 40)}
