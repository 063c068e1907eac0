"""Every kind of merge runs from a trial's config, on what the lineage has trained."""

import json
import logging
import math

import pytest
import torch
from tiny import NO_NORM, epochs, fresh_store, lineage, rows, same_bits, tiny
from torch import nn

from analysis.records import MergeRecord
from search_spaces.config import TrialConfig
from search_spaces.merges import MERGE_KINDS
from search_spaces.recipe import Retention
from sweeper.data import Task
from sweeper.ingredients import Ingredients
from sweeper.measuring import Meter, fisher_diagonal
from sweeper.merging import merge
from sweeper.store import Store
from sweeper.training import Endpoint, Lineage, state_of
from sweeper.trial import run_trial

ADAMW = {"train/optimizer": "adamw", "train/lr": 0.01}
LINEAR = {"kind": "linear"}
LONG = {**NO_NORM, "branch/decay_epochs": 3}
ONE = {"trunk/epochs": 1, "measures": {"splits": ["validation"], "batchnorm": "averaged"}}


def config_of(*merges: dict[str, object], **settings: object) -> TrialConfig:
    return tiny({**ONE, **settings, "merges": list(merges)})


def losses(records: list[MergeRecord]) -> list[float | None]:
    return [record.f_merged for record in records if record.metric == "loss"]


@torch.no_grad()
def loss_of(part: Lineage, state: dict[str, torch.Tensor]) -> float:
    """The validation loss of the network with these parameters."""
    part.network.load_state_dict(state)
    part.network.eval()
    inputs, targets = part.task.split("validation")
    outputs = part.network(part.task.batch(inputs))
    return float(nn.functional.cross_entropy(outputs.double(), targets))


@pytest.mark.parametrize("settings", [{}, NO_NORM, ADAMW], ids=["batch norm", "no norm", "adamw"])
def test_every_kind_runs(settings, tmp_path):
    config = config_of(*({"kind": kind} for kind in MERGE_KINDS), **settings)
    records = rows(run_trial(config, fresh_store(tmp_path)))
    assert [record.merge for record in records[::2]] == list(MERGE_KINDS)
    assert all(record.gain is not None for record in records), "weak as they are, all were merged"
    assert len({(record.f_a, record.f_b) for record in records}) == 2, "the same endpoints, by two metrics"


def test_merges_are_those_of_the_pure_functions(tmp_path):
    settings = {"density": 0.3, "trim": "global", "aggregate": "sum"}
    config = config_of({"kind": "ties", "alphas": [0.2, 0.9], **settings}, **NO_NORM)
    store = fresh_store(tmp_path)
    records = rows(run_trial(config, store))
    part = lineage(config, store)
    ends = [part.endpoint(6, seed).state for seed in (0, 1)]
    expected = [
        loss_of(part, merge("ties", ends, part.start(6).state, alpha=a, **settings)) for a in (0.2, 0.9)
    ]
    assert losses(records) == pytest.approx(expected)
    assert json.loads(records[0].merge_settings) == settings


def test_task_arithmetic_at_a_half_is_the_midpoint(tmp_path):
    merges = [{"kind": "linear"}, {"kind": "task_arithmetic"}, {"kind": "dare", "drop": 0.0}]
    midpoint, *others = losses(rows(run_trial(config_of(*merges), fresh_store(tmp_path))))
    assert others == pytest.approx([midpoint] * 2, rel=1e-5)


def test_coefficients_of_a_larger_group_are_recorded_where_they_count(tmp_path):
    merges = [
        {"kind": "task_arithmetic", "group": 3, "alphas": [0.1, 0.4]},
        {"kind": "fisher", "group": 3, "examples": 8},
    ]
    records = rows(run_trial(config_of(*merges, **{"branch/count": 3}), fresh_store(tmp_path)))
    assert [record.alpha for record in records] == [0.1, 0.1, 0.4, 0.4, None, None]


def test_running_statistics_are_averaged_whatever_merges_the_parameters(tmp_path):
    # Task arithmetic on variances, scaled so, would be far below zero.
    config = config_of({"kind": "task_arithmetic", "alphas": [-30.0]})
    part = lineage(config, fresh_store(tmp_path))
    ends = [part.endpoint(6, seed) for seed in (0, 1)]
    name = next(name for name, _ in part.network.named_buffers() if name.endswith("running_var"))
    loaded = []

    class Watched(Meter):
        def scores(self, state, batchnorm):
            loaded.append(state)
            return super().scores(state, batchnorm)

    meter = Watched(part.network, "mlp", part.task, {"digits": part.task}, config.measures, "none", 0)
    context = {**CONTEXT, "branch_step": 6}
    assert list(meter.records(ends, config.merges[0], {"base": part.start(6).state}, context))
    merged = next(s for s in loaded if all(not same_bits(s, end.state) for end in ends))
    mean = (ends[0].state[name].double() + ends[1].state[name].double()) / 2
    torch.testing.assert_close(merged[name].double(), mean)


CONTEXT = {
    **dict.fromkeys(("run", "trial", "recipe", "task", "model", "optimizer", "augment"), "x"),
    **dict.fromkeys(("attempt", "seed", "batch_size"), 0),
    **dict.fromkeys(("lr", "momentum", "weight_decay", "noise_scale", "branch_epoch"), 0.1),
}


def test_a_merge_that_fails_is_recorded_and_the_others_go_on(tmp_path, caplog):
    merges = [{"kind": "slerp", "group": 3}, {"kind": "linear", "group": 3}]
    with caplog.at_level(logging.WARNING, "sweeper.measuring"):
        records = rows(run_trial(config_of(*merges, **{"branch/count": 3}), fresh_store(tmp_path)))
    assert [record.merge for record in records] == ["slerp", "slerp", "linear", "linear"]
    assert all((record.status == "failed") == (record.merge == "slerp") for record in records)
    assert all(
        (record.gain is None) == (record.f_merged is None) == (record.merge == "slerp") for record in records
    )
    assert all(record.f_a is not None for record in records)
    assert "merge slerp at branch step 6 failed: slerp: takes two endpoints, got 3" in caplog.text


class TestAveragedEndpoints:
    """`swa: k` merges the means of each branch's last k checkpoints."""

    def test_are_means_of_a_branchs_last_epochs(self, tmp_path):
        config, store = config_of({**LINEAR, "swa": 2}, LINEAR, **LONG), fresh_store(tmp_path)
        records = rows(run_trial(config, store))
        part = lineage(config, store)
        means = []
        for seed in (0, 1):
            states = [store.load(part.branch_key(6, seed, 24, step)).tensors for step in (18, 24)]
            means.append(merge("linear", states))
        averaged, plain = (
            next(r for r in records if r.metric == "loss" and ("swa" in r.merge_settings) is swa)
            for swa in (True, False)
        )
        assert (averaged.f_a, averaged.f_b) == pytest.approx(tuple(loss_of(part, mean) for mean in means))
        assert averaged.f_merged == pytest.approx(loss_of(part, merge("linear", means)))
        assert averaged.f_a != plain.f_a
        assert (averaged.key_a, averaged.key_b) == (plain.key_a, plain.key_b)

    def test_one_checkpoint_is_the_endpoint(self, tmp_path):
        records = rows(run_trial(config_of({**LINEAR, "swa": 1}, LINEAR, **LONG), fresh_store(tmp_path)))
        assert len({(r.f_a, r.f_b, r.f_merged) for r in records if r.metric == "loss"}) == 1

    def test_are_trained_for_where_they_were_not_kept(self, tmp_path):
        store = fresh_store(tmp_path)
        list(run_trial(config_of(LINEAR, **LONG), store))
        added = list(run_trial(config_of({**LINEAR, "swa": 2}, **LONG), store))
        assert epochs(added) == pytest.approx(2 * 3)
        assert epochs(run_trial(config_of({**LINEAR, "swa": 2}, **LONG), store)) == 0

    def test_a_damaged_checkpoint_is_trained_again(self, tmp_path):
        config, store = config_of({**LINEAR, "swa": 3}, **LONG), fresh_store(tmp_path)
        before = rows(run_trial(config, store))
        store.save(lineage(config, store).branch_key(6, 0, 24, 12), {}, {"status": "ok"})
        path = next(tmp_path.rglob(f"{lineage(config, store).branch_key(6, 0, 24, 12)}*"))
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert rows(run_trial(config, store)) == before

    def test_records_alone_leave_nothing(self, tmp_path):
        config, store = (
            config_of({**LINEAR, "swa": 3}, {"kind": "preconditioned"}, **LONG, **ADAMW),
            fresh_store(tmp_path),
        )
        list(run_trial(config, store, retention=Retention(keep="records")))
        assert list(store.keys()) == []


class TestPreconditioners:
    """`preconditioned` weighs by what the optimizer scaled gradients with."""

    def test_are_those_of_adams_last_update(self, tmp_path):
        config = config_of({"kind": "preconditioned"}, **ADAMW, **NO_NORM)
        part = lineage(config, fresh_store(tmp_path))
        end = part.endpoint(6, 0)
        found = Ingredients(part, 6).settings(config.merges[0], [end])["preconditioners"][0]
        assert found.keys() == dict(part.network.named_parameters()).keys()
        state = part.moments(6, end)
        name = next(iter(found))
        second, steps = state[f"optimizer/exp_avg_sq/{name}"].double(), float(state[f"optimizer/step/{name}"])
        assert steps == 12
        expected = 1 / ((second / (1 - 0.999**steps)).sqrt() + 1e-8)
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=0)
        assert found[name].unique().numel() > 1

    def test_of_sgd_are_one_so_the_merge_is_linear(self, tmp_path):
        records = rows(run_trial(config_of(LINEAR, {"kind": "preconditioned"}), fresh_store(tmp_path)))
        linear, preconditioned = losses(records)
        assert preconditioned == pytest.approx(linear, rel=1e-6)

    def test_of_adam_make_another_merge(self, tmp_path):
        records = rows(
            run_trial(config_of(LINEAR, {"kind": "preconditioned"}, **ADAMW), fresh_store(tmp_path))
        )
        linear, preconditioned = losses(records)
        assert abs(preconditioned - linear) > 1e-4


class TestFisher:
    """The diagonal Fisher information, against loops over examples and classes."""

    def brute_force(self, network: nn.Module, task: Task, chosen: list[int]) -> dict[str, torch.Tensor]:
        names, parameters = zip(*network.named_parameters(), strict=True)
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for number in chosen:
            inputs = task.batch(task.train.inputs[number : number + 1], torch.float64)
            likelihoods = network(inputs).log_softmax(1)[0]
            for likelihood in likelihoods:
                gradients = torch.autograd.grad(likelihood, parameters, retain_graph=True)
                for sums, gradient in zip(total, gradients, strict=True):
                    sums += likelihood.exp().detach() * gradient**2
        return {name: sums / len(chosen) for name, sums in zip(names, total, strict=True)}

    @pytest.mark.parametrize("norm", ["batch", "none"])
    def test_is_the_expectation_under_the_networks_own_labels(self, norm, tmp_path):
        settings = {"model": {"name": "mlp", "widths": [4], "norm": norm}, "train/precision": "float64"}
        config = config_of({"kind": "fisher"}, **settings, **{"task/train_size": 20, "train/batch_size": 10})
        part = lineage(config, fresh_store(tmp_path))
        part.network.load_state_dict(part.endpoint(2, 0).state)
        before = state_of(part.network)
        found = fisher_diagonal(part.network, part.task, examples=100, seed=0)
        exact = self.brute_force(part.network, part.task, list(range(20)))
        for name, diagonal in exact.items():
            torch.testing.assert_close(found[name], diagonal, rtol=1e-9, atol=1e-15)
        assert same_bits(before, state_of(part.network)), "statistics stay as they are"

    def test_fewer_examples_are_a_subset_by_seed(self, tmp_path):
        part = lineage(config_of({"kind": "fisher"}, **NO_NORM), fresh_store(tmp_path))
        name = next(name for name, _ in part.network.named_parameters())
        one, same, other = (fisher_diagonal(part.network, part.task, 8, seed)[name] for seed in (0, 0, 1))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_of_both_endpoints_weighs_the_merge(self, tmp_path):
        config, store = config_of(LINEAR, {"kind": "fisher", "examples": 16}), fresh_store(tmp_path)
        linear, weighted = losses(rows(run_trial(config, store)))
        assert abs(linear - weighted) > 1e-4


def test_tied_weights_stay_tied_in_checkpoints(tmp_path):
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    store = Store(str(tmp_path))
    store.save("0" * 64, state_of(network), {})
    loaded = store.load("0" * 64).tensors
    assert loaded["0.weight"] is loaded["1.weight"]
    assert torch.equal(loaded["0.weight"], network[0].weight)


def test_a_diverged_endpoint_needs_no_ingredients(tmp_path):
    config, store = config_of(*({"kind": kind} for kind in MERGE_KINDS), **ADAMW), fresh_store(tmp_path)
    lost = lineage(config, store).branch_key(6, 1, 12, 12)
    store.save(lost, {}, {"status": "diverged", "step": 9})
    records = rows(run_trial(config, store))
    assert {record.status for record in records} == {"diverged"}
    assert all(record.f_a is not None and math.isfinite(record.f_a) for record in records)
    assert isinstance(lineage(config, store).endpoint(6, 1), Endpoint)
