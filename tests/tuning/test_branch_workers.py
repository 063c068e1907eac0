"""Branches that train in other processes, on other nodes: the same records, while the trunk goes on."""

import random
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from search_spaces import to_yaml
from search_spaces.measures import MeasureConfig
from search_spaces.resources import Placement
from sweeper.store import Store
from tests.tuning.recipes import small_recipe
from tests.tuning.test_kills import LONGER, ORDER, ROOT, check_kills, trained_keys

POINT = {"train/noise_scale": {"values": [0.01]}}
WORKERS = {"branch_workers": 1, "retries": 1}


def check_same(one, other):
    tables = [
        read_records(f"{path}/runs/run").drop(columns="attempt").sort_values(ORDER).reset_index(drop=True)
        for path in (one, other)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.fixture(scope="module")
def serial(ray_cluster, tmp_path_factory):
    """The storage of a sweep of two trials without branch workers."""
    storage = tmp_path_factory.mktemp("serial")
    sweeper.tuning.run(recipe_of({}), str(storage), name="run")
    return storage


def recipe_of(resources):
    space = {"train/noise_scale": {"values": [0.001, 0.03]}}
    return small_recipe(**LONGER, space=space, resources=resources)


def test_records_and_keys_are_those_of_a_run_without(serial, tmp_path):
    run = sweeper.tuning.run(recipe_of(WORKERS), str(tmp_path), name="run")
    assert (run.status, run.trials) == ("done", 2)
    check_same(serial, tmp_path)
    assert trained_keys(tmp_path) == trained_keys(serial)
    costs = [read_trials(f"{path}/runs/run") for path in (serial, tmp_path)]
    assert costs[0].epochs_trained.tolist() == costs[1].epochs_trained.tolist()
    assert (costs[1].cpu_seconds > 0).all()


def test_where_all_endpoints_are_stored_the_trunk_is_not_needed(serial, tmp_path):
    storage = shutil.copytree(serial, tmp_path / "copy")
    store, records = Store(str(storage)), read_records(f"{storage}/runs/run")
    for key in set(store.keys()) - {*records.key_a, *records.key_b}:
        store.delete(key)
    recipe = recipe_of(WORKERS).model_copy(update={"measures": MeasureConfig(metrics=("loss",))})
    run = sweeper.tuning.run(recipe, str(storage), name="again")
    assert read_trials(run.path).epochs_trained.tolist() == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_drivers_killed_with_branches_under_way_resume_and_train_nothing_twice(serial, tmp_path, seed):
    check_kills(recipe_of(WORKERS), tmp_path, 4, random.Random(seed))
    check_same(serial, tmp_path / "killed")


def test_the_trunk_goes_on_while_spot_nodes_train_branches_and_die(tmp_path, ray_cluster):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    recipe = small_recipe(
        task={"name": "tests.tuning.components:build_task"},
        model={"name": "tests.tuning.components:meeting_model", "settings": {"folder": str(meeting), "first": 2 * 6}},
        train={"lr": 0.1, "batch_size": 16},
        space={"train/lr": {"values": [0.1]}},
        resources={"custom": {"on_demand": 1}, "branch_workers": 1, "branch": {"custom": {"spot": 1}}},
    )  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(recipe), encoding="utf-8")
    arguments = [str(path), str(tmp_path / "pool"), str(meeting / "go")]
    command = [sys.executable, "-m", "tests.tuning.mixed_pool", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    lines = ended.stdout.splitlines()
    assert "preempted" in lines, ended.stdout[-2000:] + ended.stderr[-3000:]
    assert lines[-1] == "done 1 0", ended.stderr[-3000:]
    assert len(list(meeting.glob("branch on *"))) == 2, "the lost branch was trained again on another node"
    assert {int(attempt) for attempt in read_records(f"{tmp_path}/pool/runs/run").attempt} == {0}
    assert set(trained_keys(tmp_path / "pool").values()) == {1}

    # With everybody there already, nobody waits: the same trial on one node.
    calm = small_recipe(**{**recipe.model_dump(mode="json"), "resources": {}})
    sweeper.tuning.run(calm, str(tmp_path / "calm"), name="run")
    check_same(tmp_path / "calm", tmp_path / "pool")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"branch": {"custom": {"spot": 1}}}, "branch: there are no branch_workers; name how many"),
        ({"strategy": "SPREAD"}, "strategy SPREAD: a trial is one process here; leave it out"),
    ],
)
def test_placements_that_would_do_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Placement(**settings)
