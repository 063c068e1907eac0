"""Every point of every space has its place on the axes of the live view."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from search_spaces import load_recipe
from search_spaces.recipe import SCALES
from search_spaces.recipes import RECIPES
from search_spaces.space import Space
from sweeper.dashboard.parameters import coordinates, parameters


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_corner_of_the_named_recipes_has_its_place(name, scale):
    spaces = load_recipe(name, scale).space
    axes = parameters(spaces)
    for space in spaces:
        for point in space.corners():
            place = coordinates(point, axes)
            trial = create_trial(params=place, distributions={path: axes[path] for path in place}, value=0.0)
            assert set(trial.params) == set(point)


def axis(**domains):
    ((path, found),) = parameters([Space.model_validate(domains)]).items()
    assert path == "x"
    return found


def test_numbers_are_numbers():
    assert axis(x={"low": 1e-4, "high": 1.0, "log": True}) == FloatDistribution(1e-4, 1.0, log=True)
    assert axis(x=[0.0, 0.5, 0.9]) == FloatDistribution(0.0, 0.9)
    assert axis(x=[16, 64, 128]) == IntDistribution(16, 128, log=True)
    assert axis(x=[1, 2, 3]) == IntDistribution(1, 3)
    assert axis(points=[{"x": 0.001}, {"x": 0.1}]) == FloatDistribution(0.001, 0.1, log=True)


def test_sections_are_categories():
    models = [{"name": "mlp", "widths": [8]}, {"name": "mlp", "widths": [16]}]
    texts = ('{"name": "mlp", "widths": [8]}', '{"name": "mlp", "widths": [16]}')
    assert axis(x=models) == CategoricalDistribution(texts)
    assert axis(x=[True, False]) == CategoricalDistribution((True, False))
    assert coordinates({"x": models[1]}, {"x": axis(x=models)}) == {"x": texts[1]}


def test_the_spaces_of_a_union_share_their_axes():
    first = Space.model_validate({"lr": [0.1, 1.0], "momentum": [0.0, 0.9]})
    second = Space.model_validate({"lr": [0.01, 0.1], "batch_size": [16, 128]})
    assert parameters([first, second]) == {
        "lr": FloatDistribution(0.01, 1.0, log=True),
        "momentum": FloatDistribution(0.0, 0.9),
        "batch_size": IntDistribution(16, 128, log=True),
    }
