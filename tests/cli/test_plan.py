"""Plans agree with what then happens, and cost nothing."""

from pathlib import Path

import pytest
import torch

from analysis.reading import read_trials
from search_spaces import RECIPES, load_recipe
from sweeper.data import DataError
from sweeper.planning import cost_info, disk_info, plan_info, recipe_infos
from sweeper.store import Store
from tests.cli.conftest import TINY

POINTS = {"space": {"train/lr": {"low": 0.01, "high": 1.0}}, "search": {"sampler": "random", "trials": 10}}


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path))


def epochs(plan):
    return plan.epochs


def test_planned_epochs_are_trained(finished_run):
    info = plan_info(load_recipe("digits", "smoke"))
    trials = read_trials(finished_run.path)
    assert info.trials == len(trials)
    assert info.total(epochs) == trials.epochs_trained.sum()


def test_planned_bytes_are_kept(finished_run):
    """But for the headers: a few kilobytes on networks as small as this one."""
    planned = disk_info(plan_info(load_recipe("digits", "smoke")))
    kept = Store(finished_run.path.partition("/runs/")[0]).size()
    assert planned < kept < 1.1 * planned


@pytest.mark.parametrize(
    ("retention", "parts"),
    [
        ("records", 0),
        ("endpoints", 2 + 2 * 1),
        ("all", 2 + 2 * (1 + 2)),
        ({"last": 3}, 2 + 2 * 3),
        ({"moments": True}, 2 + 2 * (1 + 2)),
    ],
)
def test_retention_decides_what_is_kept(retention, parts):
    """In units of a network without buffers: a trunk with momentum is 2, an endpoint 1."""
    plain = {**TINY, "model": {"name": "mlp", "widths": [8], "norm": "none"}, "retention": retention}
    info = plan_info(load_recipe("digits", "smoke", plain))
    network = 4 * (64 * 8 + 8 + 8 * 10 + 10)
    assert disk_info(info) == 4 * 2 * parts * network


def test_what_two_sweeps_share_is_counted_once():
    union = {"space": [{"train/lr": [0.1, 0.2]}, {"train/momentum": [0.9, 0.5]}]}
    info = plan_info(load_recipe("fig1", "smoke", {**union, "train/lr": 0.1, "train/momentum": 0.9}))
    assert (info.trials, len(info.plans)) == (4, 3)


def test_an_adaptive_search_is_extrapolated():
    info = plan_info(load_recipe("fig1", "smoke", POINTS))
    assert info.total(epochs) == 10 * info.plans[0].epochs


@pytest.mark.parametrize("scale", ["smoke", "cpu", "paper"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_planned_without_its_data(name, scale):
    info = plan_info(load_recipe(name, scale))
    assert info.total(epochs) > 0
    assert {source.path for source in info.sources} == set(info.recipe.sources)
    assert all(source.value for source in info.sources)


def test_a_task_of_unknown_size_says_where_to_put_it(tmp_path):
    folder = {**TINY, "task": {"name": "image_folder", "root": str(tmp_path / "none")}}
    with pytest.raises(DataError, match="none"):
        plan_info(load_recipe("digits", "smoke", folder))


def test_cost_is_timed_where_the_data_are():
    threads = torch.get_num_threads()
    info = plan_info(load_recipe("digits", "smoke", {"space/train/batch_size": [16, 64]}))
    cost = cost_info(info)
    # Two batch sizes, each timed for at least one step, on networks that take well under a second each.
    assert cost.steps >= 2
    assert 0 < cost.seconds < 1.0 * info.total(lambda plan: plan.steps)
    assert torch.get_num_threads() == threads


def test_cost_is_not_guessed():
    assert cost_info(plan_info(load_recipe("fig10", "paper", {"resources/gpu": 0}))) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_recipe_for_a_gpu_is_not_timed_on_a_processor():
    assert cost_info(plan_info(load_recipe("digits", "smoke", {"resources/gpu": 1}))) is None


def test_the_list_says_what_each_scale_costs(sweeper):
    infos = {info.name: info for info in recipe_infos()}
    assert set(infos) == set(RECIPES)
    plan = plan_info(load_recipe("fig4", "paper"))
    assert infos["fig4"].scales["paper"].trials == plan.trials
    assert infos["fig4"].scales["paper"].epochs == plan.total(epochs)
    answer = sweeper("list")
    assert answer.status == 0
    assert all(name in answer.out for name in RECIPES)


def test_a_paper_scale_is_printed_with_its_sources(sweeper):
    answer = sweeper("plan", "fig1", "--scale", "paper")
    assert answer.status == 0
    for text in ("200,000 in all", "published size", "Appendix A.1", "0.01, 0.02, 0.05, 0.1, 0.2", "Fig 1†"):
        assert text in answer.out


def test_planning_writes_nothing(sweeper, tiny, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    answer = sweeper("plan", tiny, "--storage", "sweeps", "--trials", "3")
    assert answer.status == 0
    assert str(Path("sweeps").resolve() / "runs" / "digits-smoke") in answer.out
    assert sorted(tmp_path.rglob("*")) == before
