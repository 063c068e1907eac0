import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import RECIPES, Recipe, load_recipe, parse_recipe, read_yaml, to_yaml
from search_spaces.yaml_text import parse_assignments

SMALL: dict[str, Any] = {
    "name": "small",
    "train": {"lr": 0.1},
    "trunk": {"epochs": 4, "branch_every": 2},
    "branch": {"decay_epochs": 1},
    "space": {"seed": {"values": [0, 1]}},
    "search": {"sampler": "grid"},
}


def reread(recipe: Recipe, directory: Path) -> Recipe:
    file = directory / "recipe.yaml"
    file.write_text(to_yaml(recipe), encoding="utf-8")
    return read_yaml(file)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.e-4", "0.1e-3", ".0001", "0.0001", "+1e-4", "1.0e-04"])
def test_every_way_to_write_a_float_is_a_float(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(f"{to_yaml(Recipe.model_validate(SMALL))}".replace("lr: 0.1", f"lr: {text}"))
    assert read_yaml(file).train.lr == 1e-4
    assert parse_assignments([f"train/lr={text}"]) == {"train/lr": 1e-4}


@settings(max_examples=50)
@given(
    lr=st.floats(1e-300, 1e300),
    weight_decay=st.floats(0, 1e300),
    alphas=st.lists(st.floats(-10, 10), min_size=1, max_size=4, unique=True),
    title=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    setting=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abyn01", max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    low=st.floats(0.001, 1),
    high=st.floats(1, 1000),
)
def test_a_recipe_survives_yaml_exactly(
    lr: float,
    weight_decay: float,
    alphas: list[float],
    title: str,
    setting: Any,
    low: float,
    high: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    recipe = Recipe.model_validate(
        {
            **SMALL,
            "title": title,
            "task": {"name": "users.tasks:build", "settings": {"setting": setting}},
            "train": {"lr": lr, "weight_decay": weight_decay},
            "merges": [{"kind": "linear", "alphas": alphas}],
            "space": [{"train/lr": {"low": low, "high": high, "log": True}}],
            "search": {"sampler": "tpe", "trials": 3},
        }
    )
    assert reread(recipe, tmp_path_factory.mktemp("recipes")) == recipe


def test_a_file_says_what_the_python_says(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(SMALL)
    assert reread(recipe, tmp_path) == recipe == parse_recipe(SMALL)
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train/momentum", 0.5),
        ("task/pixel_noise", 0.1),
        ("model/widths", [8]),
        ("measures/splits", ["validation"]),
    ],
)
def test_overrides_reach_sections_that_the_file_leaves_out(path: str, value: Any) -> None:
    section, field = path.split("/")
    recipe = parse_recipe(SMALL, {path: value})
    assert recipe.model_dump(mode="json")[section][field] == value


def test_an_override_of_the_noise_scale_replaces_the_lr_and_back() -> None:
    by_noise = load_recipe("fig16", "cpu", {"train/noise_scale": 0.02})
    assert (by_noise.train.lr, by_noise.train.noise_scale) == (None, 0.02)
    steps = load_recipe("fig1", "cpu", {"trunk/steps": 500, "trunk/branch_every_steps": 100}).trunk
    assert steps is not None
    assert (steps.epochs, steps.steps, steps.branch_every, steps.branch_every_steps) == (None, 500, None, 100)


def test_overrides_of_the_space_reach_every_space_of_a_union() -> None:
    recipe = load_recipe("fig2", "cpu", {"space/train/lr": [0.5, 1.0]})
    assert {point["train/lr"] for point in recipe.grid()} == {0.5, 1.0}
    assert len(recipe.space) == 2
    whole = load_recipe("fig2", "cpu", {"space": {"seed": [0, 1]}, "train/lr": 0.3})
    assert [whole.trial(point).train.lr for point in whole.grid()] == [0.3, 0.3]


def test_an_interval_override_makes_a_grid_searchable() -> None:
    recipe = load_recipe(
        "fig1",
        "cpu",
        {
            "space/train/lr": {"low": 0.01, "high": 1.0, "log": True},
            "search/sampler": "tpe",
            "search/trials": 10,
        },
    )
    assert not recipe.space[0].is_finite


FREE = {
    "search/trials": 7,
    "resources/cpu": 2,
    "resources/concurrency": 1,
    "retention/keep": "all",
    "title": "Another title",
    "figure": "Figure 0",
    "sources": {"train/lr": "Fig 1"},
}
BINDING = {
    "name": "other",
    "seed": 1,
    "task/seed": 1,
    "model/widths": [8],
    "train/lr": 0.2,
    "train/momentum": 0.5,
    "trunk/epochs": 6,
    "branch/count": 3,
    "branch/optimizer_state": "fresh",
    "merges/0/alphas": [0.4],
    "measures/metrics": ["loss"],
    "space/seed": [0, 2],
    "search/min_accuracy": 50.0,
    "search/metric": "accuracy",
    "search/split": "test",
}


@pytest.mark.parametrize(("path", "value"), FREE.items())
def test_identity_ignores_what_changes_no_record(path: str, value: Any) -> None:
    assert parse_recipe(SMALL, {path: value}).identity() == parse_recipe(SMALL).identity()


@pytest.mark.parametrize(("path", "value"), BINDING.items())
def test_identity_changes_with_everything_else(path: str, value: Any) -> None:
    # The new seed is set through the space, which varies it.
    recipe = {**SMALL, "space": {"train/weight_decay": [0.0]}} if path == "seed" else SMALL
    assert parse_recipe(recipe, {path: value}).identity() != parse_recipe(recipe).identity()


def test_identities_of_all_recipes_differ() -> None:
    identities = {
        load_recipe(name, scale).identity() for name in RECIPES for scale in ("smoke", "cpu", "paper")
    }
    assert len(identities) == 3 * len(RECIPES)
    assert all(len(identity) == 8 for identity in identities)


def test_a_trial_takes_its_point_and_leaves_the_recipe_alone() -> None:
    recipe = load_recipe("fig1", "cpu")
    before = to_yaml(recipe)
    trial = recipe.trial({"train/lr": 0.3, "train/batch_size": 32})
    assert (trial.train.lr, trial.train.batch_size) == (0.3, 32)
    assert type(trial).__name__ == "TrialConfig"
    assert to_yaml(recipe) == before


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    program = (
        "import time; start = time.process_time(); import search_spaces; took = time.process_time() - start\n"
        "import sys; search_spaces.load_recipe('digits')\n"
        "heavy = {'torch', 'torchvision', 'ray', 'optuna', 'numpy', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "print(took, *sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    took, *heavy = result.stdout.split()
    assert heavy == []
    assert float(took) < 1
