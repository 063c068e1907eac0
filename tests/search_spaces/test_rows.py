"""The schema expresses every row of the list of experiments: one config a row, whether or not it runs yet."""

from pathlib import Path
from typing import Any

import pytest

from search_spaces import RECIPES, load_recipe, read_yaml, to_yaml
from search_spaces.config import MergOPT
from search_spaces.cost import branch_steps, trial_epochs
from search_spaces.merges import TiesMerge
from search_spaces.models import GPTModel
from search_spaces.recipe import Recipe

ROWS = Path(__file__).parent / "rows"

FILES = {
    **{f"Fig {number}": f"fig{number}" for number in (1, 2, 3, 4, 10, 11, 14, 15, 16)},
    **dict.fromkeys(("Fig 5", "Fig 13"), "fig5.yaml"),
    **dict.fromkeys(("Fig 6", "Fig 20"), "fig6.yaml"),
    "Fig 7a": "fig7a.yaml",
    "Fig 7b": "fig7b.yaml",
    "Fig 8a": "fig8a.yaml",
    **dict.fromkeys(("Fig 8b", "Fig 23", "Fig 24"), "fig8b.yaml"),
    **dict.fromkeys(("Fig 9 left", "Fig 25"), "fig9_permuted.yaml"),
    "Fig 9 right": "fig9_aligned.yaml",
    **dict.fromkeys(("Fig 12", "Fig 21"), "fig12.yaml"),
    **dict.fromkeys(("Fig 17", "Fig 18"), "fig17_18.yaml"),
    "Fig 19": "fig19.yaml",
    "Fig 22": "fig22.yaml",
    "Fig 26": "fig26.yaml",
    "Fig 27": "fig27.yaml",
    **dict.fromkeys(("Fig 28", "Fig 29"), "fig28_29.yaml"),
    **{f"Fig {number}": f"fig{number}.yaml" for number in (30, 31, 32, 33, 34, 35)},
    "MergOPT": "mergopt.yaml",
    "geometry": "geometry.yaml",
}
"""Row → the recipe that runs it, or the file that only declares it."""

CLIP_FMOW = [(20, 1e-4), (20, 5e-5), (20, 3e-5), (20, 1e-5), (30, 5e-6), (40, 3e-6), (100, 1e-6)]
CONVNEXT = [(20, 1e-3), (20, 5e-4), (20, 3e-4), (40, 1e-4), (40, 5e-5), (80, 1e-5), (80, 5e-6)]
VIT_FMOW = [(20, 1e-3), (20, 3e-4), (20, 1e-4), (40, 3e-5), (100, 1e-5)]
RESISC45 = [1e-4, 3e-5, 1e-5, 3e-6, 1e-6]


def row(name: str) -> Recipe:
    return read_yaml(ROWS / f"{name}.yaml")


def varied(recipe: Recipe, *paths: str) -> list[Any]:
    """The values of `paths` at the grid's points, None where a space leaves one alone."""
    found = [tuple(point.get(path) for path in paths) for point in recipe.grid()]
    return [values[0] for values in found] if len(paths) == 1 else found


def test_every_figure_has_a_config() -> None:
    figures = {int("".join(filter(str.isdigit, name.split()[1]))) for name in FILES if name.startswith("Fig")}
    assert figures == set(range(1, 36))
    assert {path.name for path in ROWS.iterdir()} == {file for file in FILES.values() if file not in RECIPES}


@pytest.mark.parametrize("file", sorted(set(FILES.values())))
def test_every_row_is_read_and_survives_a_round_trip(file: str, tmp_path: Path) -> None:
    recipe = load_recipe(file, "paper") if file in RECIPES else read_yaml(ROWS / file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(recipe))
    assert read_yaml(copy) == recipe
    assert to_yaml(read_yaml(copy)) == to_yaml(recipe)


@pytest.mark.parametrize("file", sorted(set(FILES.values())))
def test_every_trial_of_every_row_is_valid_and_has_a_cost(file: str) -> None:
    recipe = load_recipe(file, "paper") if file in RECIPES else read_yaml(ROWS / file)
    trials = [recipe.trial(point) for point in recipe.grid()]
    assert trials
    assert all(trial_epochs(trial, train_size=45_000) > 0 for trial in trials)


def test_fig5_is_a_union_of_two_sweeps_in_steps() -> None:
    for name in ("fig5", "fig19"):
        recipe = row(name)
        assert recipe.trunk is not None
        assert (recipe.trunk.steps, recipe.trunk.branch_every_steps) == (200_000, 2_000)
        assert recipe.branch.decay_steps == 20_000
        assert len(branch_steps(recipe.trunk, steps_per_epoch=1)) == 100
        first, second = recipe.space
        trials = [recipe.trial(point) for point in first.grid()]
        assert [trial.train.weight_decay for trial in trials] == [0, 0, 0]
        trials = [recipe.trial(point) for point in second.grid()]
        assert {trial.train.resolved_lr for trial in trials} == {1e-3}
        assert [trial.train.weight_decay for trial in trials][:3] == [1e-1, 1e-2, 1e-3]


@pytest.mark.parametrize(("name", "points"), [("fig6", CLIP_FMOW), ("fig7a", CONVNEXT), ("fig12", VIT_FMOW)])
def test_finetuning_ties_epochs_to_lr_and_merges_three_seeds(
    name: str, points: list[tuple[int, float]]
) -> None:
    recipe = row(name)
    assert varied(recipe, "branch/decay_epochs", "train/lr") == points
    for point, (epochs, lr) in zip(recipe.grid(), points, strict=True):
        trial = recipe.trial(point)
        assert (trial.start, trial.trunk, trial.train.optimizer) == ("pretrained", None, "adamw")
        assert (trial.train.resolved_lr, trial.branch.decay_epochs) == (lr, epochs)
        assert trial.branch.resolved_seeds == (0, 1, 2)
        assert {merge.group for merge in trial.merges} == {2}


def test_fig8_merges_two_tasks_at_one_lr_and_at_all_pairs() -> None:
    same, pairs = row("fig8a"), row("fig8b")
    assert [task.name for task in same.tasks] == ["fmow", "resisc45"]
    assert same.branch.resolved_seeds == (0, 1, 2)
    assert varied(same, "train/lr") == RESISC45
    lrs = varied(pairs, "branch/overrides/0/lr", "branch/overrides/1/lr", "seed")
    assert lrs == [(a, b, seed) for a in RESISC45 for b in RESISC45 for seed in (0, 1, 2)]
    last = pairs.trial({"branch/overrides/0/lr": 3e-5, "branch/overrides/1/lr": 1e-6, "seed": 2})
    assert [(branch.task.name, branch.lr) for branch in last.branch.overrides if branch.task] == [
        ("fmow", 3e-5),
        ("resisc45", 1e-6),
    ]
    for recipe in (same, pairs):
        arithmetic, ties = recipe.merges
        assert isinstance(ties, TiesMerge)
        assert (arithmetic.kind, ties.density, ties.aggregate) == ("task_arithmetic", 0.7, "mean")
        assert {0.2, 1.0} <= set(arithmetic.alphas)


def test_fig22_has_the_five_rates() -> None:
    assert varied(row("fig22"), "train/lr") == RESISC45


def test_fig9_has_independent_aligned_runs_and_branches_with_cka() -> None:
    permuted, branches = row("fig9_permuted"), row("fig9_aligned")
    assert (permuted.start, permuted.merges[0].align) == ("independent", "weight_matching")
    assert {"plane", "barrier"} <= set(permuted.measures.also)
    assert (branches.start, branches.measures.also, branches.measures.cka_examples) == (
        "trunk",
        ("cka",),
        2048,
    )
    assert permuted.trunk is not None
    assert len(branch_steps(permuted.trunk, steps_per_epoch=1)) > 1


def test_fig26_holds_branched_against_rebased_pairs_at_each_lr() -> None:
    recipe = row("fig26")
    trials = [recipe.trial(point) for point in recipe.grid()]
    kinds = {(trial.start, trial.merges[0].align) for trial in trials}
    assert kinds == {("trunk", "none"), ("independent", "weight_matching")}
    assert len(trials) == 2 * len({trial.train.resolved_lr for trial in trials})


def test_fig27_is_the_gpt2_of_the_appendix() -> None:
    recipe = row("fig27")
    assert recipe.model == GPTModel(layers=6, width=512, heads=8, inner=2048, block=512)
    train = recipe.train
    assert (train.batch_size, train.budget_epochs, train.weight_decay) == (32, 10, 0.01)
    assert train.warmup_epochs == 0.05 * 10
    assert recipe.task.model_dump()["tokenizer"] == "gpt2"
    assert [merge.align for merge in recipe.merges] == ["none", "weight_matching", "learned_matching"]
    assert all(trial_epochs(recipe.trial(point), 32_000) == 2 * 10 for point in recipe.grid())


@pytest.mark.parametrize("name", ["fig28_29", "fig32"])
def test_bifurcations_continue_the_schedule_to_one_budget(name: str) -> None:
    recipe = row(name)
    assert recipe.trunk is not None
    for trial in map(recipe.trial, recipe.grid()):
        assert (trial.branch.decay, trial.train.budget_epochs) == ("continue", 200)
        assert recipe.trunk.epochs == 190
        assert trial_epochs(trial, 45_000) == 190 + 2 * sum(range(10, 200, 10))


def test_fig32_compares_two_schedules() -> None:
    recipe = row("fig32")
    schedules = [recipe.trial(point).train for point in recipe.grid()]
    assert [(train.schedule, train.decay_epochs) for train in schedules] == [("wsd", 30), ("cosine", None)]


def test_fig30_and_fig31_measure_curvature_and_planes() -> None:
    assert (row("fig30").measures.also, row("fig30").measures.eigenvalues) == (("curvature",), 8)
    plane = row("fig31")
    assert plane.measures.also == ("plane",)
    low, optimal, high = varied(plane, "train/noise_scale")
    assert low < optimal < high


def test_fig33_gives_sgd_twenty_times_the_steps_at_small_lr() -> None:
    recipe = row("fig33")
    assert [task.name for task in recipe.measures.eval_tasks] == ["cifar10_1"]
    settings = varied(recipe, "train/optimizer", "train/lr", "branch/decay_epochs")
    adamw = [setting for setting in settings if setting[0] == "adamw"]
    sgd = [setting for setting in settings if setting[0] == "sgd"]
    assert min(adamw, key=lambda setting: setting[2])[2] * 20 == min(sgd, key=lambda setting: setting[1])[2]


def test_fig34_merges_three_tasks_at_once_by_ties() -> None:
    recipe = row("fig34")
    assert [task.name for task in recipe.tasks] == ["resisc45", "fmow", "cifar10"]
    (merge,) = recipe.merges
    assert isinstance(merge, TiesMerge)
    assert (merge.group, merge.density, merge.aggregate) == (3, 0.7, "mean")
    assert min(merge.alphas) < 0.5 < max(merge.alphas)
    assert recipe.branch.resolved_seeds == (0, 1, 2)


def test_fig35_keeps_the_checkpoints_that_its_averages_need() -> None:
    recipe = row("fig35")
    assert [merge.swa for merge in recipe.merges] == [0, 5, 10]
    assert recipe.retention.last == max(merge.swa for merge in recipe.merges)


def test_mergopt_has_seven_experts_two_groups_of_four_and_its_rivals() -> None:
    recipe = row("mergopt")
    train = recipe.train
    assert (train.optimizer, train.lr, train.batch_size) == ("adamw", 2e-5, 16)
    assert recipe.branch.decay_epochs == 5
    assert len(recipe.tasks) == 7
    assert [merge.kind for merge in recipe.merges] == ["linear", "task_arithmetic", "ties", "dare"]
    assert {merge.group for merge in recipe.merges} == {7}
    seven, four = ([recipe.trial(point) for point in space.grid()] for space in recipe.space)
    aware = [(trial.train.optimizer, getattr(trial.train.merge_aware, "kind", None)) for trial in seven]
    assert set(aware) == {
        ("adamw", None),
        ("adamw", "mergopt"),
        ("adamw", "sam"),
        ("sgd", None),
        ("sgd", "mergopt"),
    }
    models = {trial.model.model_dump()["weights"] for trial in seven}
    assert models == {"models/Llama-3.2-1B", "models/Llama-3.2-3B"}
    (settings,) = {
        trial.train.merge_aware
        for trial in seven
        if isinstance(trial.train.merge_aware, MergOPT) and trial.train.optimizer == "adamw"
    }
    assert settings.alphas == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert (settings.max_experts, settings.laplace_scale) == (7, None)
    assert {(len(trial.tasks), trial.merges[0].group) for trial in four} == {(4, 4)}
    assert len({trial.tasks for trial in four}) == 2
    assert "laplace_fit" in recipe.measures.also


def test_geometry_has_one_preconditioner_a_branch_and_a_vanishing_step() -> None:
    recipe = row("geometry")
    assert [(branch.optimizer, branch.task.name) for branch in recipe.branch.overrides if branch.task] == [
        ("sgd", "quadratic"),
        ("adamw", "quadratic"),
    ]
    assert recipe.branch.decay_steps == 1
    assert varied(recipe, "train/lr") == [1e-1, 1e-2, 1e-3, 1e-4]
    kinds = [merge.kind for merge in recipe.merges]
    assert kinds == ["linear", "slerp", "preconditioned", "preconditioned"]
    assert recipe.retention.moments
