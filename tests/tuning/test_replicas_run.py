"""Sweeps whose branches are trained at once, by order or by choice."""

import json

import pytest

import sweeper.tuning
from analysis.reading import read_records, read_trials
from search_spaces.recipe import RecipeError
from sweeper.store import Store
from sweeper.training.replicas import TRAINERS
from sweeper.tuning import check_recipe
from sweeper.tuning.job import Job
from sweeper.tuning.workers.replicas import trainer_of
from tests.tuning.recipes import small_recipe

SPACE = {"train/batch_size": {"values": [10, 20]}}


def keys_of(path):
    records = read_records(path)
    return {*records.key_a, *records.key_b}


def test_a_fused_run_has_other_endpoints_and_about_the_same_gains(tmp_path, ray_cluster):
    precise = {"noise_scale": 0.01, "augment": "shift", "precision": "float64"}
    paths = [
        sweeper.tuning.run(
            small_recipe(space=SPACE, train=precise, resources=resources), str(tmp_path), name=name
        ).path
        for name, resources in (
            ("separate", {}),
            ("fused", {"replicas": "fused"}),
            ("beside", {"replicas": "fused", "branch_workers": 1}),
        )
    ]
    order = ["trial", "branch_step", "batchnorm", "split", "metric"]
    tables = [read_records(path).sort_values(order) for path in paths]
    for table in tables[1:]:
        assert table.f_merged.tolist() == pytest.approx(tables[0].f_merged.tolist(), rel=1e-9)
    assert keys_of(paths[0]) & keys_of(paths[1]) == set()
    assert keys_of(paths[1]) == keys_of(paths[2])
    assert read_trials(paths[1]).epochs_trained.tolist() == [4.0, 4.0], "the trunk was there"
    assert read_trials(paths[2]).epochs_trained.tolist() == [0.0, 0.0]


def test_what_a_run_has_chosen_it_keeps_to(tmp_path, ray_cluster):
    recipe = small_recipe(space=SPACE, resources={"replicas": "auto"})
    run = sweeper.tuning.run(recipe, str(tmp_path), name="run")
    store, job = Store(str(tmp_path)), Job(recipe, str(tmp_path), "run")
    settled = sorted(store.find(f"{store.root}/runs/run/settled"))
    assert len(settled) == 2, "one choice for each batch size"
    assert (run.status, run.trials) == ("done", 2)
    for path in settled:
        choice = json.loads(store.read(path))
        assert choice["replicas"] == min(choice["seconds"], key=choice["seconds"].get)
        other = "fused" if choice["replicas"] == "separate" else "separate"
        store.write(path, json.dumps({**choice, "replicas": other}).encode())
        trainers = {trainer_of(job, recipe.trial(point), "cpu") for point in recipe.grid()}
        assert TRAINERS[other] in trainers, "what is stored counts, whatever would be faster now"


def test_what_cannot_be_fused_is_refused_before_anything_is_trained():
    model = {"name": "tests.tuning.components:dropout_model"}
    task = {"name": "tests.tuning.components:build_task"}
    parts = {"task": task, "model": model, "train": {"lr": 0.1, "batch_size": 16}, "space": {"train/lr": 0.1}}
    check_recipe(small_recipe(**parts, resources={"replicas": "auto"}))
    with pytest.raises(RecipeError, match=r"replicas fused: vmap can't train this network: .*random"):
        check_recipe(small_recipe(**parts, resources={"replicas": "fused"}))


def test_compiled_networks_are_not_fused():
    with pytest.raises(RecipeError, match="resources/replicas: auto can't be with train/compile"):
        small_recipe(train={"lr": 0.1, "compile": True}, resources={"replicas": "auto"})
