"""What a cluster holds, and what is refused before a trial starts on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search_spaces import to_yaml
from search_spaces.recipe import RecipeError
from search_spaces.resources import Placement
from sweeper.tuning import ClusterError, check_recipe
from sweeper.tuning.cluster import slots, slots_on
from tests.tuning.recipes import small_recipe
from tests.tuning.test_kills import ROOT


@pytest.mark.parametrize(
    ("wants", "nodes", "slots"),
    [
        ({"cpu": 2}, [{"CPU": 3}, {"CPU": 3}], 2),
        ({"cpu": 4}, [{"CPU": 2}, {"CPU": 2}, {"CPU": 5}], 1),
        ({"cpu": 1, "gpu": 1}, [{"CPU": 8}, {"CPU": 8, "GPU": 2}, {"GPU": 4}], 2),
        ({"cpu": 0.1}, [{"CPU": 0.3}], 3),
        ({"cpu": 1, "custom": {"spot": 1}}, [{"CPU": 4, "spot": 2}, {"CPU": 4}], 2),
        ({"gpu": 0.6}, [{"CPU": 8, "GPU": 2}, {"CPU": 8, "GPU": 1}], 3),
        ({"gpu": 0.3}, [{"CPU": 8, "GPU": 2}], 6),
        ({"gpu": 2}, [{"CPU": 8, "GPU": 3}], 1),
        ({"gpu": 0.6, "branch_workers": 1, "branch": {"gpu": 0.3}}, [{"CPU": 8, "GPU": 2}], 2),
        ({"cpu": 1, "branch_workers": 2}, [{"CPU": 4}, {"CPU": 4}], 2),
        ({"cpu": 2, "branch_workers": 1, "branch": {"cpu": 1}}, [{"CPU": 3}, {"CPU": 2}, {"CPU": 1}], 2),
        (
            {"custom": {"on_demand": 1}, "branch_workers": 2, "branch": {"custom": {"spot": 1}}},
            [{"CPU": 8, "on_demand": 8}, {"CPU": 4, "spot": 4}, {"CPU": 4, "spot": 1}],
            2,
        ),
        ({"cpu": 0}, [{"CPU": 2}, {"CPU": 2}], 2),
    ],
)
def test_trials_at_once_are_those_that_each_node_holds(wants, nodes, slots):
    assert slots_on(Placement(**wants), nodes) == slots


def test_a_recipe_may_want_more_trials_at_once_than_there_is_room_for(ray_cluster):
    assert slots(Placement(cpu=1)) == 2
    assert slots(Placement(cpu=1, concurrency=1)) == 1
    assert slots(Placement(cpu=1, concurrency=64)) == 64
    with pytest.raises(ClusterError, match="wants 1 CPU, 1 spot"):
        slots(Placement(custom={"spot": 1}, concurrency=64))


@pytest.mark.slow
def test_trials_that_wait_run_on_nodes_that_come(tmp_path):
    recipe = small_recipe(
        task={"name": "tests.tuning.components:build_task"},
        model={
            "name": "tests.tuning.components:crowd_model",
            "settings": {"folder": str(tmp_path), "size": 3},
        },
        train={"lr": 0.1, "batch_size": 16},
        space={"train/lr": {"values": [0.1, 0.2, 0.3]}},
        resources={"concurrency": 3, "retries": 0},
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "tests.tuning.growing_pool", str(path), str(tmp_path / "pool")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert ended.stdout.splitlines()[-1] == "done 3 0", ended.stdout[-2000:] + ended.stderr[-3000:]


@pytest.mark.parametrize(
    ("wants", "nodes", "message"),
    [
        (
            {"cpu": 3},
            [{"CPU": 1}, {"CPU": 2}],
            r"wants 3 CPU, .* on any node \(the largest has 2 CPU\); lower",
        ),
        ({"gpu": 1}, [{"CPU": 8}, {"GPU": 1}], r"wants 1 CPU, 1 GPU, .* largest has 8 CPU, 0 GPU\)"),
        (
            {"branch_workers": 1, "branch": {"custom": {"spot": 1}}},
            [{"CPU": 8}],
            r"wants 1 CPU, 1 spot, .* largest has 8 CPU, 0 spot\)",
        ),
        (
            {"cpu": 2, "branch_workers": 1},
            [{"CPU": 3}],
            "wants 2 CPU . 2 CPU, more than this cluster has at once; lower resources, or name fewer",
        ),
    ],
)
def test_a_trial_that_only_the_sum_of_the_nodes_could_hold_is_refused(wants, nodes, message):
    with pytest.raises(ClusterError, match=message) as refused:
        slots_on(Placement(**wants), nodes)
    assert "\n" not in str(refused.value)


def test_every_point_of_a_grid_is_checked_not_only_its_corners():
    domains = {"train/batch_size": [16, 64], "task/train_size": [40, 600]}
    with pytest.raises(RecipeError, match="batch_size 64 is larger than the training set of 40"):
        check_recipe(small_recipe(space=domains))
    check_recipe(small_recipe(space={**domains, "task/train_size": [64, 600]}))


NO_RAY = """
from sweeper.tuning.cluster import connected
with connected(None): pass
"""
GPU_NODE = """
import os, sys
import ray
from sweeper.store import Store
from sweeper.tuning import ClusterError, check_nodes, preflight
os.environ["PYTHONPATH"] = sys.argv[1]
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 0})
nodes.add_node(num_cpus=0, num_gpus=1)
for preflight.PROBE_SECONDS in (0.0, 120.0):
    try:
        check_nodes(Store(sys.argv[2]))
    except ClusterError as error:
        print(error)
"""


def python(cwd: Path, code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,  # Ray hands the driver's folder on to its workers
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_a_failed_start_says_why_ray_did_not_start_here(tmp_path):
    (tmp_path / "file").touch()
    ended = python(tmp_path, NO_RAY, RAY_TMPDIR=str(tmp_path / "file"))
    last = ended.stderr.splitlines()[-1]
    assert "ClusterError: Ray could not be started on this machine: " in last
    assert "Not a directory" in last


def test_a_node_that_is_silent_or_lacks_the_package_is_named_in_one_line(tmp_path):
    bare, cwd = tmp_path / "bare", tmp_path / "cwd"
    bare.mkdir()
    cwd.mkdir()
    (bare / "sweeper.py").write_text("raise ModuleNotFoundError(\"No module named 'sweeper'\")")
    ended = python(cwd, GPU_NODE, str(bare), str(tmp_path / "store"))
    lines = [line for line in ended.stdout.splitlines() if line.startswith("node ")]
    assert len(lines) == 2, ended.stdout + ended.stderr
    assert "does not answer within 0 s" in lines[0]
    assert lines[1].endswith("can't run trials: ModuleNotFoundError: No module named 'sweeper'")
