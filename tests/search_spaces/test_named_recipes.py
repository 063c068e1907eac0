import inspect
import math
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from search_spaces import RECIPES, RecipeError, load_recipe, read_yaml, to_yaml
from search_spaces.cost import trial_epochs
from search_spaces.recipe import SCALES, Recipe, Scale

FIGURES = [name for name in RECIPES if name.startswith("fig")]
EVERY = list(product(RECIPES, SCALES))


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_every_recipe_survives_a_round_trip_through_yaml(name: str, scale: Scale, tmp_path: Path) -> None:
    recipe = load_recipe(name, scale)
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    assert read_yaml(file) == recipe == RECIPES[name](scale)
    assert load_recipe(file).identity() == recipe.identity()


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_every_trial_of_every_recipe_is_valid(name: str, scale: Scale) -> None:
    recipe = load_recipe(name, scale)
    assert (recipe.name, recipe.scale) == (name, scale)
    for point in recipe.grid():
        assert trial_epochs(recipe.trial(point), train_size=600 if scale != "paper" else 45_000) > 0


@pytest.mark.parametrize("name", RECIPES)
def test_the_scales_have_one_structure(name: str) -> None:
    recipes = [load_recipe(name, scale) for scale in SCALES]
    assert len({tuple(tuple(sorted(space.paths)) for space in recipe.space) for recipe in recipes}) == 1
    assert len({recipe.figure for recipe in recipes}) == 1
    assert len({recipe.branch.decay for recipe in recipes}) == 1


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name, scale in EVERY if scale != "paper"])
def test_small_scales_need_nothing_but_the_digits(name: str, scale: Scale) -> None:
    recipe = load_recipe(name, scale)
    trials = [recipe.trial(point) for point in recipe.grid()]
    assert {trial.task.name for trial in trials} == {"digits"}
    assert recipe.resources.gpu == 0
    if scale == "smoke":
        assert len(trials) <= 6
        assert {trial.model.name for trial in trials} == {"mlp"}
        assert sum(trial_epochs(trial, 600) for trial in trials) <= 200


@pytest.mark.parametrize("name", RECIPES)
def test_docstrings_say_figure_command_result_and_cost(name: str) -> None:
    text = " ".join(inspect.getdoc(RECIPES[name]).split())  # type: ignore[union-attr]
    assert f"`sweeper run {name} --scale cpu`" in text
    assert f"{len(list(load_recipe(name, 'cpu').grid()))} trials" in text
    assert "CPU seconds" in text or "minutes on two cores" in text
    assert "Expected: " in text
    if name in FIGURES:
        assert text.startswith(f"Return {load_recipe(name, 'cpu').figure}: ")


def test_recipes_are_known_by_the_name_of_their_function() -> None:
    assert all(build.__name__ == name for name, build in RECIPES.items())


def leaves(content: Any, prefix: str = "") -> Iterator[str]:
    """The paths of `content` down to values and lists."""
    for name, value in content.items():
        path = f"{prefix}/{name}" if prefix else name
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path


def explicit(recipe: Recipe) -> set[str]:
    """The paths whose values the recipe's function chose itself, and those its space varies."""
    sections = {"task", "model", "train", "trunk", "branch", "merges", "measures"}
    chosen = set(leaves(recipe.model_dump(mode="json", include=sections, exclude_unset=True)))
    return chosen | {path for space in recipe.space for path in space.paths}


@pytest.mark.parametrize("name", FIGURES)
def test_every_value_of_a_paper_scale_carries_its_source(name: str) -> None:
    recipe = RECIPES[name]("paper")
    paths = explicit(recipe)
    assert {"task/name", "model/name", "train/momentum", "trunk/branch_every", "branch/decay_epochs"} <= paths
    for path in paths:
        assert any(path == source or path.startswith(f"{source}/") for source in recipe.sources), path
    for source, place in recipe.sources.items():
        assert any(path == source or path.startswith(f"{source}/") for path in paths), source
        assert any(word in place for word in ("Section", "Appendix", "Fig", "not stated")), place


@pytest.mark.parametrize("name", FIGURES)
def test_a_swept_value_is_never_passed_off_as_the_papers(name: str) -> None:
    recipe = RECIPES[name]("paper")
    grids = {path for space in recipe.space for path, domain in space.domains.items() if _many(domain)}
    numeric = grids - {"model", "train/augment"}
    assert all("†" in recipe.sources[path] for path in numeric)


def _many(domain: Any) -> bool:
    return len(domain.values) > 1


@pytest.mark.parametrize("name", FIGURES)
def test_paper_scales_have_the_branching_set_up_of_the_appendix(name: str) -> None:
    recipe = RECIPES[name]("paper")
    durations = {
        "svhn": (2000, 20),
        "cifar10": (2000, 30),
        "cifar100": (2000, 30),
        "tiny_imagenet": (1500, 20),
    }
    for trial in map(recipe.trial, recipe.grid()):
        assert trial.trunk is not None
        stable, decay = durations[trial.task.name]
        assert (trial.trunk.epochs in {stable, None}, trial.branch.decay_epochs) == (True, decay)
        assert (trial.trunk.branch_every, trial.branch.decay, trial.branch.count) == (20, "sqrt", 2)
        assert (trial.train.optimizer, trial.train.schedule) == ("sgd", "constant")
        assert [(merge.kind, merge.alphas) for merge in trial.merges] == [("linear", (0.5,))]
        assert recipe.search.split == "validation"
        assert recipe.search.metric == "accuracy"


def values(name: str, path: str) -> set[Any]:
    recipe = RECIPES[name]("paper")
    return {point[path] for point in recipe.grid() if path in point}


def test_the_values_that_the_paper_names_are_swept() -> None:
    assert {16, 128, 256} <= values("fig1", "train/batch_size")
    assert {0.2, 0.01, 0.03} <= values("fig2", "train/lr")
    assert {0.0, 5e-4} <= values("fig3", "train/weight_decay")
    assert {16, 256} <= values("fig4", "train/batch_size")
    assert values("fig4", "trunk/steps") == {200_000}
    assert {0.0, 0.9} <= values("fig4", "train/momentum")
    assert values("fig4", "train/augment") == {"none", "flip_crop"}


def test_fig2_holds_three_networks_on_four_tasks() -> None:
    recipe = RECIPES["fig2"]("paper")
    trials = [recipe.trial(point) for point in recipe.grid()]
    assert {(trial.model.name, trial.task.name) for trial in trials} == set(
        product(("mlp", "resnet18", "densenet121"), ("svhn", "cifar10", "cifar100", "tiny_imagenet"))
    )
    plain = [trial for trial in trials if trial.model.name == "mlp"]
    assert {trial.model.model_dump()["norm"] for trial in plain} == {"none"}
    assert max(trial.train.resolved_lr for trial in plain) == 0.03


@pytest.mark.parametrize("scale", SCALES)
def test_fig14_trains_exactly_what_fig2_trains_and_looks_at_training_loss(scale: Scale) -> None:
    second, loss = RECIPES["fig2"](scale), RECIPES["fig14"](scale)
    assert second.space == loss.space
    trained = {"task", "tasks", "model", "start", "train", "trunk", "branch", "seed"}
    assert second.model_dump(include=trained) == loss.model_dump(include=trained)
    assert "train" in loss.measures.splits


def test_fig11_is_without_augmentation() -> None:
    for scale in SCALES:
        recipe = RECIPES["fig11"](scale)
        assert {recipe.trial(point).train.augment for point in recipe.grid()} == {"none"}


@pytest.mark.parametrize(("name", "path"), [("fig15", "train/lr"), ("fig16", "train/weight_decay")])
def test_too_large_values_go_beyond_those_that_merge(name: str, path: str) -> None:
    good = {"train/lr": 0.2, "train/weight_decay": 5e-4}[path]
    assert max(values(name, path)) >= 5 * good
    assert min(values(name, path)) <= good


def test_grids_are_log_grids() -> None:
    for name, path in [("fig1", "train/lr"), ("fig15", "train/lr"), ("fig16", "train/weight_decay")]:
        ordered = sorted(values(name, path))
        steps = [math.log10(high / low) for low, high in pairwise(ordered)]
        assert max(steps) / min(steps) < 2


def test_the_demo_is_the_hump_of_the_digits() -> None:
    recipe = load_recipe("digits")
    assert recipe.scale == "cpu"
    assert 35 <= len(list(recipe.grid())) <= 45
    trial = next(map(recipe.trial, recipe.grid()))
    assert trial_epochs(trial, 600) == 150 + 10 * 4 * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch",), 'no recipe "nosuch"; known: digits, fig1, '),
        (("nosuch.yaml",), "recipe file nosuch.yaml: No such file"),
        (("digits", "huge"), 'no scale "huge"; known: smoke, cpu, paper'),
        (("nosuch.yaml", "cpu"), "a file has one scale; leave out --scale cpu"),
    ],
)
def test_unknown_recipes_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
