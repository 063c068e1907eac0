"""A sweep each of whose trials is trained by two processes."""

import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from search_spaces.recipe import RecipeError
from search_spaces.resources import Placement
from sweeper.tuning import check_recipe
from tests.tuning.recipes import small_recipe

ORDER = ["trial", "branch_step", "key_a", "batchnorm", "split", "metric"]


def test_its_records_are_those_of_one_process_up_to_rounding(tmp_path, ray_cluster):
    runs = {}
    for name, resources in (("one", {}), ("two", {"data_parallel": 2})):
        recipe = small_recipe(space={"train/batch_size": {"values": [20]}}, resources=resources)
        runs[name] = sweeper.tuning.run(recipe, str(tmp_path / name), name="run")
        assert (runs[name].status, runs[name].trials) == ("done", 1)
    one, two = (read_records(run.path).sort_values(ORDER).reset_index(drop=True) for run in runs.values())
    measured = ["f_merged", "f_a", "f_b", "f_mean", "gain"]
    assert two.drop(columns=measured).equals(one.drop(columns=measured)), "keys included"
    losses = one.metric == "loss"
    for column in measured:
        assert two[losses][column].tolist() == pytest.approx(one[losses][column].tolist(), rel=1e-3, abs=1e-4)
    assert read_trials(runs["two"].path).epochs_trained.tolist() == [8.0]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_of_the_processes_is_killed_the_trial_is_trained_again_by_as_many(
    rank, tmp_path, ray_cluster
):
    recipe = small_recipe(
        task={"name": "tests.tuning.components:build_task"},
        model={
            "name": "tests.tuning.components:mortal_model",
            "settings": {"marker": str(tmp_path / "died"), "rank": rank},
        },
        train={"noise_scale": 0.01, "batch_size": 20},
        space={"train/batch_size": {"values": [20]}},
        resources={"data_parallel": 2, "retries": 1},
    )
    tables = []
    for name in ("killed", "calm"):
        run = sweeper.tuning.run(recipe, str(tmp_path / name), name="run")
        assert (tmp_path / "died").exists(), "the second run finds it"
        assert (run.status, run.trials, run.failed) == ("done", 1, 0)
        tables.append(read_records(run.path).sort_values(ORDER).reset_index(drop=True))
    assert tables[0].drop(columns="attempt").equals(tables[1].drop(columns="attempt"))


def test_a_batch_that_cannot_be_shared_is_refused():
    recipe = small_recipe(space={"train/batch_size": {"values": [10, 21]}}, resources={"data_parallel": 2})
    with pytest.raises(
        RecipeError, match="batch_size 21 can't be shared by resources/data_parallel 2; name a multiple"
    ):
        check_recipe(recipe)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"branch_workers": 1}, "data_parallel 2 can't be with branch_workers; leave out one"),
        ({"replicas": "auto"}, "data_parallel 2 can't be with replicas auto; leave out one"),
    ],
)
def test_back_ends_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Placement(data_parallel=2, **settings)
