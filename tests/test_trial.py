"""The laws of one trial, from its config to its records."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import DIVERGING, NO_NORM, RESNET, epochs, fresh_store, lineage, rows, tiny

from analysis.records import MergeRecord
from search_spaces.resources import Retention
from sweeper.measuring import chance_level
from sweeper.store import Store
from sweeper.trial import TrialName, load_task, run_trial

METRICS, SPLITS, POLICIES = ("accuracy", "loss"), ("validation", "test"), ("recalibrated", "averaged")
LINE = {"merges": [{"kind": "linear", "alphas": [0.0, 0.25, 0.5, 1.0]}]}


def records_of(store: Store, overrides: dict[str, object] | None = None) -> list[MergeRecord]:
    return rows(run_trial(tiny(overrides), store))


def test_one_record_per_pair_coefficient_policy_split_and_metric(tmp_path):
    records = records_of(fresh_store(tmp_path), {**LINE, "branch/count": 3})
    points = [
        (
            record.branch_step,
            record.key_a,
            record.key_b,
            record.alpha,
            record.batchnorm,
            record.split,
            record.metric,
        )
        for record in records
    ]
    assert len(set(points)) == len(points) == 2 * 3 * 4 * 2 * 2 * 2
    for record in records:
        sign = 1 if record.metric == "accuracy" else -1
        assert record.f_mean == (record.f_a + record.f_b) / 2
        assert record.gain == sign * (record.f_merged - record.f_mean)
        assert [end["key"] for end in json.loads(record.endpoints)] == [record.key_a, record.key_b]
    first = records[0]
    assert (first.lr, first.noise_scale, first.branch_epoch, first.n_endpoints) == (0.1, 0.0625, 1.0, 2)


@pytest.mark.parametrize("model", [{}, NO_NORM, RESNET], ids=["batch norm", "none", "resnet8"])
def test_the_ends_of_the_line_measure_what_the_endpoints_do(model, tmp_path):
    records = records_of(fresh_store(tmp_path), {**model, **LINE, "branch/count": 3})
    for record in records:
        if record.alpha in (0.0, 1.0):
            assert record.f_merged == (record.f_b if record.alpha else record.f_a)
    assert any(record.f_merged not in (record.f_a, record.f_b) for record in records if record.alpha == 0.5)


def test_batch_norm_policies_measure_differently(tmp_path):
    records = [record for record in records_of(fresh_store(tmp_path)) if record.metric == "loss"]
    by_policy = {
        policy: [(r.f_a, r.f_merged) for r in records if r.batchnorm == policy] for policy in POLICIES
    }
    assert len(by_policy["averaged"]) == len(by_policy["recalibrated"]) == 4
    for one, other in zip(*by_policy.values(), strict=True):
        assert one[0] != other[0], "endpoints are treated like the merge"
        assert one[1] != other[1]


def test_without_batch_norm_there_is_one_policy(tmp_path):
    assert {record.batchnorm for record in records_of(fresh_store(tmp_path), NO_NORM)} == {"recalibrated"}


def test_three_endpoints_weigh_the_same(tmp_path):
    settings = {"branch/count": 3, "merges": [{"kind": "linear", "group": 3}]}
    records = records_of(fresh_store(tmp_path), settings)
    assert {(record.n_endpoints, record.alpha) for record in records} == {(3, None)}
    assert len(records) == 2 * 8
    assert all(len({end["key"] for end in json.loads(record.endpoints)}) == 3 for record in records)


def test_merges_and_measures_are_added_without_training(tmp_path):
    store = fresh_store(tmp_path)
    before = list(run_trial(tiny(), store))
    assert epochs(before) == pytest.approx(2 + 4)
    again = list(run_trial(tiny(), store))
    assert epochs(again) == 0
    assert rows(again) == rows(before)
    more = list(run_trial(tiny({**LINE, "measures": {"splits": ["train"]}}), store))
    assert epochs(more) == 0
    assert {record.split for record in rows(more)} == {"train"}


def test_a_trial_goes_on_after_the_branch_points_that_are_done(tmp_path):
    whole = list(run_trial(tiny(), fresh_store(tmp_path, "whole")))
    store = fresh_store(tmp_path, "cut")
    first = next(run_trial(tiny(), store, TrialName(attempt=0)))
    rest = list(run_trial(tiny(), store, TrialName(attempt=1), done={first.branch_step: first}))
    assert [stage.branch_step for stage in rest] == [12]
    assert epochs([first, *rest]) == epochs(whole)
    assert [record.model_copy(update={"attempt": 0}) for record in rows(rest)] == list(whole[1].records)


def test_other_tasks_are_evaluated_beside_the_trained_one(tmp_path):
    other = {"name": "digits", "train_size": 96, "validation_size": 100, "seed": 1}
    records = records_of(fresh_store(tmp_path), {"measures": {"eval_tasks": [other], "metrics": ["loss"]}})
    tasks = {record.eval_task for record in records}
    assert len(tasks) == 2
    assert {record.task for record in records} < tasks
    assert len({record.f_a for record in records}) == len(records), "each place has its own value"


class TestStatus:
    def test_divergence_is_data(self, tmp_path: Path) -> None:
        store = fresh_store(tmp_path)
        config = tiny(DIVERGING, **{"trunk/epochs": 3})
        stages = list(run_trial(config, store))
        assert [stage.branch_step for stage in stages] == [6, 12, 18]
        assert epochs(stages) == pytest.approx(1), "nothing is trained after it"
        records = rows(stages)
        assert len(records) == 3 * len(METRICS) * len(SPLITS)
        assert {record.status for record in records} == {"diverged"}
        assert {(record.gain, record.f_merged, record.f_a) for record in records} == {(None, None, None)}
        again = list(run_trial(config, store))
        assert epochs(again) == 0
        assert rows(again) == records

    def test_one_diverged_branch_takes_its_pairs_along(self, tmp_path: Path) -> None:
        store, config = fresh_store(tmp_path), tiny({"branch/count": 3})
        lost = lineage(config, store).branch_key(6, 2, 12, 12)
        store.save(lost, {}, {"status": "diverged", "step": 9})
        for record in rows(run_trial(config, store)):
            whole = lost not in (record.key_a, record.key_b)
            assert (record.status != "diverged") == (record.gain is not None) == whole
            assert record.f_a is not None, "of a pair, the one that survived is recorded"

    def test_a_merge_can_diverge_alone(self, tmp_path: Path) -> None:
        settings = {**NO_NORM, "merges": [{"kind": "linear", "alphas": [0.5, 1e30]}]}
        for record in records_of(fresh_store(tmp_path), settings):
            whole = record.alpha == 0.5
            assert (record.status != "diverged") == (record.gain is not None) == whole
            assert (record.f_merged is not None) == whole
            assert record.f_mean is not None

    def test_untrained_endpoints_are_at_chance(self, tmp_path: Path) -> None:
        records = records_of(fresh_store(tmp_path), {**NO_NORM, "train/lr": 1e-12})
        task = load_task(tiny().task)
        for record in records:
            if record.metric == "accuracy":
                level = chance_level(task.split(record.split).targets)
                assert min(record.f_a, record.f_b) <= level
            assert record.status == "at_chance"
            assert record.gain == pytest.approx(0, abs=1e-6)


class TestBits:
    """The same config gives the same bits, wherever and after whatever it runs."""

    SCRIPT = "import sys, test_trial; test_trial.report(sys.argv[1])"

    @pytest.mark.parametrize("settings", ["{}", json.dumps(RESNET)], ids=["mlp", "resnet8"])
    def test_across_processes(self, settings: str, tmp_path: Path) -> None:
        records_of(fresh_store(tmp_path, "other"), {"train/augment": "none", "seed": 5})
        torch.rand(3)
        here = digest(tmp_path / "here", json.loads(settings))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
        there = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, settings],
            env={**environment, "STORE": str(tmp_path / "there")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here

    def test_seeds_give_others(self, tmp_path: Path) -> None:
        assert digest(tmp_path / "a", {}) != digest(tmp_path / "b", {"seed": 1})


def digest(path: Path, settings: dict[str, object]) -> str:
    """Return what stands for a trial's records and for every bit of every tensor it leaves in the store."""
    store = Store(str(path))
    total = hashlib.sha256()
    for record in records_of(store, settings):
        total.update(record.model_dump_json().encode())
    keys = sorted(store.keys())
    assert len(keys) == 2 + 4
    for key in keys:
        for name, tensor in sorted(store.load(key).tensors.items()):
            total.update(f"{key} {name}".encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def report(settings: str) -> None:
    print(digest(Path(os.environ["STORE"]), json.loads(settings)))


def test_bf16_measures_about_the_same(tmp_path):
    exact, rounded = (
        records_of(fresh_store(tmp_path), {"train/precision": precision, "trunk/epochs": 3})
        for precision in ("float32", "bf16")
    )
    for one, other in zip(exact, rounded, strict=True):
        if one.metric == "loss":
            assert other.f_merged == pytest.approx(one.f_merged, rel=0.05)
    assert [record.f_merged for record in exact] != [record.f_merged for record in rounded]


def test_float64_runs_throughout(tmp_path):
    exact = records_of(fresh_store(tmp_path), {"train/precision": "float64"})
    single = records_of(fresh_store(tmp_path))
    for one, other in zip(exact, single, strict=True):
        if one.metric == "loss":
            assert other.f_merged == pytest.approx(one.f_merged, rel=1e-3)


@pytest.mark.slow
def test_compiled_trials_measure_about_the_same(tmp_path):
    plain = records_of(fresh_store(tmp_path, "plain"))
    compiled = records_of(fresh_store(tmp_path, "compiled"), {"train/compile": True})
    for one, other in zip(plain, compiled, strict=True):
        if one.metric == "loss":
            assert other.f_merged == pytest.approx(one.f_merged, rel=1e-3)


@pytest.mark.parametrize("settings", [{}, DIVERGING], ids=["alive", "diverged"])
def test_records_alone_leave_nothing_in_the_store(settings, tmp_path):
    store = fresh_store(tmp_path)
    config = tiny(settings)
    first = next(run_trial(config, store, retention=Retention(keep="records")))
    assert list(store.keys()), "until the trial is finished its work is kept"
    rest = run_trial(config, store, retention=Retention(keep="records"), done={first.branch_step: first})
    assert len(list(itertools.chain([first], rest))) == 2
    assert list(store.keys()) == []
