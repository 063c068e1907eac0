"""Sweeps that really run, on a local Ray."""

import json
import math

import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records, read_run_info, read_trials
from search_spaces import RecipeError, parse_recipe
from sweeper.store import StorageError, Store
from sweeper.trial import run_trial
from sweeper.tuning import ClusterError, Progress
from tests.tuning.recipes import adaptive_recipe, small_recipe

pytestmark = pytest.mark.usefixtures("ray_cluster")

COMPONENTS = "tests.tuning.components"


def imported(model, noise_scales, **settings):
    """A recipe whose task and model are the user's."""
    return small_recipe(
        task={"name": f"{COMPONENTS}:build_task"},
        model={"name": f"{COMPONENTS}:{model}", "settings": settings},
        train={"noise_scale": 0.01, "batch_size": 16},
        space={"train/noise_scale": {"values": noise_scales}},
    )


def science(table):
    """What must be equal whenever the same thing is run: all but run and attempt."""
    order = ["trial", "branch_step", "key_a", "key_b", "batchnorm", "split", "metric"]
    return table.drop(columns=["run", "attempt"]).sort_values(order).reset_index(drop=True)


def epochs(path):
    return read_trials(path).epochs_trained.sum()


@pytest.fixture(scope="module")
def grid(ray_cluster, tmp_path_factory):
    """An undisturbed grid: recipe, storage, run."""
    storage = str(tmp_path_factory.mktemp("grid"))
    return small_recipe(), storage, sweeper.tuning.run(small_recipe(), storage)


def test_a_grid_runs_every_combination_once(grid):
    recipe, _, run = grid
    assert (run.status, run.trials, run.failed) == ("done", 4, 0)
    trials = read_trials(run.path)
    points = trials.overrides.map(json.loads).to_list()
    assert len(points) == 4
    assert all(point in points for point in recipe.grid())
    assert set(trials.status) == {"ok"}
    # N + c m D, with N = 4 epochs, m = 2 branch points, c = 2 branches of D = 1.
    assert set(trials.epochs_trained) == {8.0}
    assert read_run_info(run.path).recipe == recipe.model_dump(mode="json")


def test_every_record_equals_a_fresh_run_of_its_config(grid, tmp_path):
    recipe, _, run = grid
    table = read_records(run.path)
    suggestion = read_trials(run.path).iloc[0]
    fresh = [
        record.model_dump(by_alias=True)
        for stage in run_trial(recipe.trial(json.loads(suggestion.overrides)), Store(str(tmp_path)))
        for record in stage.records
    ]
    names = {"run", "trial", "recipe"}
    expected = pd.DataFrame(fresh).drop(columns=list(names))
    found = table[table.trial == suggestion.trial].drop(columns=list(names))
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), expected[found.columns], check_dtype=False, check_exact=True
    )


def test_the_same_again_trains_nothing_and_starts_nothing(grid):
    recipe, storage, run = grid
    before = read_records(run.path)
    seen: list[Progress] = []
    again = sweeper.tuning.run(recipe, storage, listener=seen.append)
    assert (again.path, again.status, again.trials) == (run.path, "done", 4)
    assert not seen
    pd.testing.assert_frame_equal(read_records(run.path), before)


def test_a_longer_trunk_or_another_branch_trains_only_what_is_new(grid):
    recipe, storage, _ = grid
    longer = parse_recipe(recipe.model_dump(mode="json"), {"trunk/epochs": 6})
    run = sweeper.tuning.run(longer, storage)
    assert set(read_trials(run.path).epochs_trained) == {2.0 + 2 * 1.0}
    third = parse_recipe(recipe.model_dump(mode="json"), {"branch/count": 3})
    run = sweeper.tuning.run(third, storage)
    assert set(read_trials(run.path).epochs_trained) == {2 * 1.0}


@pytest.mark.slow
def test_more_trials_of_an_adaptive_search_keep_the_first(tmp_path):
    recipe = adaptive_recipe(2)
    first = sweeper.tuning.run(recipe, str(tmp_path))
    before = read_trials(first.path)
    second = sweeper.tuning.run(recipe, str(tmp_path), trials=4)
    after = read_trials(second.path)
    assert (second.path, second.trials) == (first.path, 4)
    pd.testing.assert_frame_equal(after.head(2), before)
    assert after.overrides.nunique() == 4


def test_a_name_is_not_given_to_another_recipe(grid, tmp_path):
    recipe, storage, run = grid
    other = parse_recipe(recipe.model_dump(mode="json"), {"train/momentum": 0.5})
    with pytest.raises(StorageError, match="another recipe; choose another --name"):
        sweeper.tuning.run(other, storage, name=run.path.rsplit("/", 1)[1])


def test_a_changed_line_of_the_users_code_is_another_run_and_trains_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "lines_of_mine.py"
    source.write_text("from tests.tuning.components import build_task as build\n", encoding="utf-8")
    recipe = small_recipe(
        task={"name": "lines_of_mine:build"},
        train={"noise_scale": 0.01, "batch_size": 16},
        space={"train/noise_scale": {"values": [0.1]}},
    )
    first = sweeper.tuning.run(recipe, "sweeps")
    assert first.status == "done", read_trials(first.path).error.to_list()
    source.write_text(source.read_text(encoding="utf-8") + "# another line\n", encoding="utf-8")
    with pytest.raises(StorageError, match="another version of lines_of_mine:build; choose another --name"):
        sweeper.tuning.resume(first.path)
    second = sweeper.tuning.run(recipe, "sweeps")
    assert second.path != first.path
    assert epochs(second.path) == epochs(first.path) > 0


def test_a_full_storage_stops_the_sweep_and_keeps_what_is_finished(tmp_path):
    recipe = small_recipe(retention={"keep": "endpoints", "quota_gib": 50e3 / 2**30})
    with pytest.raises(StorageError, match="quota"):
        sweeper.tuning.run(recipe, str(tmp_path), name="run")
    assert "failed" not in set(read_trials(f"{tmp_path}/runs/run").status)


def test_a_run_has_one_driver(grid):
    recipe, storage, _ = grid
    more = parse_recipe(recipe.model_dump(mode="json"), {"train/momentum": 0.7})
    with (
        Store(storage).lease("run-taken"),
        pytest.raises(StorageError, match="is being run by process"),
    ):
        sweeper.tuning.run(more, storage, name="taken")


def test_divergence_is_data_and_ends_nothing(tmp_path):
    recipe = small_recipe(
        model={"name": "mlp", "widths": [12], "norm": "none"},
        space={"train/lr": {"values": [0.01, 1e6]}},
        train={"lr": 0.01, "batch_size": 20},
    )
    run = sweeper.tuning.run(recipe, str(tmp_path))
    assert run.status == "done"
    trials = read_trials(run.path).set_index("status")
    assert trials.loc["diverged"].objective == -3.0
    table = read_records(run.path)
    diverged = table[table.lr == 1e6]
    assert set(diverged.status) == {"diverged"}
    assert diverged.gain.isna().all()
    assert len(diverged) == len(table) / 2


def test_a_worker_that_is_killed_is_replaced_and_goes_on(tmp_path):
    marker = tmp_path / "killed"
    recipe = imported("fragile_model", [0.01, 0.02], marker=str(marker))
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"))
    assert marker.exists(), "no worker was killed"
    assert (run.status, run.trials, run.failed) == ("done", 2, 0)
    calm = sweeper.tuning.run(recipe, str(tmp_path / "calm"))
    pd.testing.assert_frame_equal(science(read_records(run.path)), science(read_records(calm.path)))
    assert epochs(run.path) <= epochs(calm.path)


@pytest.mark.slow
def test_a_trial_that_keeps_failing_costs_only_itself_and_is_retried_by_resume(tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    recipe = imported("broken_model", [0.01], only_if=str(broken))
    run = sweeper.tuning.run(recipe, str(tmp_path / "sweeps"))
    assert (run.status, run.trials, run.failed) == ("failed", 0, 1)
    assert "the network is broken" in read_trials(run.path).error.iloc[0]
    broken.unlink()
    mended = sweeper.tuning.resume(run.path)
    assert (mended.status, mended.trials, mended.failed) == ("done", 1, 0)
    assert set(read_trials(run.path).status) == {"ok"}


def test_records_alone_are_kept_in_a_relative_storage(tmp_path, monkeypatch):
    # Workers run in other directories: what they write must still arrive here.
    monkeypatch.chdir(tmp_path)
    run = sweeper.tuning.run(small_recipe(retention="records"), "sweeps")
    assert (run.status, run.trials) == ("done", 4)
    assert run.path.startswith(str(tmp_path))
    assert read_records(run.path).trial.nunique() == 4
    assert list(Store("sweeps").keys()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": {"lr": 0.1, "batch_size": 300}, "space": {"train/lr": {"values": [0.1]}}},
            "300 is larger than the training set",
        ),
        ({"model": {"name": "nowhere.at.all:model"}}, 'no module "nowhere"'),
        (
            {"train": {"lr": 0.1, "merge_aware": {"kind": "sam"}}, "space": {"train/lr": {"values": [0.1]}}},
            "can be planned but not run yet: no merge-aware training",
        ),
        ({"merges": [{"kind": "linear", "swa": 9}]}, "merges/swa 9: a branch has 1 checkpoint"),
        ({"task": {"name": "resisc45"}}, 'no task "resisc45"'),
        ({"model": {"name": "mlp"}, "task": {"name": "cifar10", "root": "/nowhere"}}, "/nowhere"),
        ({"task": {"name": f"{COMPONENTS}:build_task"}}, 'augment "shift" needs images'),
        ({"measures": {"splits": ["validation", "ood"]}}, 'has no split "ood"'),
    ],
)
def test_what_cannot_run_is_refused_in_one_line_before_anything_starts(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message) as refused:
        sweeper.tuning.run(small_recipe(**changes), str(tmp_path))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_a_trial_that_no_node_can_hold_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="64 CPU, more than this cluster has"):
        sweeper.tuning.run(small_recipe(resources={"cpu": 64}), str(tmp_path))


def test_custom_and_fractional_resources_bound_concurrency(tmp_path):
    seen: list[Progress] = []
    recipe = small_recipe(resources={"cpu": 0.5, "concurrency": 1})
    sweeper.tuning.run(recipe, str(tmp_path), listener=seen.append)
    assert max(progress.running for progress in seen) == 1
    last = seen[-1]
    assert (last.done, last.total, last.epochs) == (4, 4, 32.0)
    assert last.seconds_left == 0.0
    assert math.isfinite(last.seconds)
