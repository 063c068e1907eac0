"""Networks that share nothing, trained by one trial, and merged as they are or aligned."""

import json

import pytest
import torch
from tiny import NO_NORM, epochs, fresh_store, lineage, rows, tiny

from sweeper.alignment import AlignmentError
from sweeper.measuring.aligned import align
from sweeper.training import Fused
from sweeper.trial import TrialName, run_trial
from sweeper.tuning import unsupported
from tests.tuning.recipes import small_recipe

INDEPENDENT = {"start": "independent"}


def test_every_branch_has_a_trunk_of_its_own(tmp_path):
    config, shared = tiny(INDEPENDENT, **{"branch/count": 3}), tiny({"branch/count": 3})
    store = fresh_store(tmp_path)
    part = lineage(config, store)
    ends = [part.endpoint(12, seed).state for seed in range(3)]
    assert sum(part.take_trained().values()) == pytest.approx(3 * (2 + 1)), "c (N + D)"
    assert len({part.trunk_key(12, part.origin(seed)) for seed in range(3)}) == 3
    assert len({part.endpoint(12, seed).key for seed in range(3)}) == 3
    apart = [
        float((ends[0][name] - ends[1][name]).norm()) for name in ("linear1.weight", "classifier.weight")
    ]
    branched = lineage(shared, fresh_store(tmp_path, "shared")).endpoint
    near, far = branched(12, 0).state, branched(12, 1).state
    together = [float((near[name] - far[name]).norm()) for name in ("linear1.weight", "classifier.weight")]
    assert all(one > other for one, other in zip(apart, together, strict=True))


def test_the_first_network_is_the_one_that_a_shared_trunk_gives(tmp_path):
    store = fresh_store(tmp_path)
    before = list(run_trial(tiny(), store))
    stages = list(run_trial(tiny(INDEPENDENT), store))
    assert epochs(stages) == pytest.approx(2 + 2), "the second trunk and its branches"
    assert [record.key_a for record in rows(stages)] == [record.key_a for record in rows(before)]
    assert {record.key_b for record in rows(stages)}.isdisjoint(record.key_b for record in rows(before))


def test_epochs_are_counted_and_nothing_is_trained_twice(tmp_path):
    config, store = tiny(INDEPENDENT), fresh_store(tmp_path)
    whole = list(run_trial(config, store))
    assert epochs(whole) == pytest.approx(2 * (2 + 2 * 1)), "c (N + m D)"
    assert epochs(run_trial(config, store)) == 0
    cut = fresh_store(tmp_path, "cut")
    first = next(run_trial(config, cut))
    rest = list(run_trial(config, cut, TrialName(), done={first.branch_step: first}))
    assert epochs([first, *rest]) == epochs(whole)
    assert rows([first, *rest]) == rows(whole)
    assert set(cut.keys()) == set(store.keys())


def test_all_trunks_are_reached_before_their_branches_are_sent(tmp_path):
    part = lineage(tiny(INDEPENDENT), store := fresh_store(tmp_path))
    part.reach(12)
    keys = {part.trunk_key(step, part.origin(seed)) for step in (6, 12) for seed in (0, 1)}
    assert set(store.keys()) == keys
    part.endpoint(12, 1)
    store.delete(part.trunk_key(12, part.origin(1)))
    part.reach(12)
    assert not store.contains(part.trunk_key(12, part.origin(1))), "its only branch is there"


def test_one_may_diverge_alone(tmp_path):
    part = lineage(tiny({**INDEPENDENT, **NO_NORM}), store := fresh_store(tmp_path))
    store.save(part.trunk_key(6, part.origin(1)), {}, {"status": "diverged", "step": 6})
    assert [end.state is None for end in part.endpoints(6, (0, 1))] == [False, True]
    assert [end.state is None for end in part.endpoints(12, (0, 1))] == [False, True]


def test_fused_branches_of_different_trunks_end_where_separate_ones_do(tmp_path):
    precise = tiny({**INDEPENDENT, **NO_NORM, "train/precision": "float64"})
    separate = list(run_trial(precise, fresh_store(tmp_path)))
    fused = list(run_trial(precise, fresh_store(tmp_path, "fused"), trainer=Fused))
    for one, other in zip(rows(separate), rows(fused), strict=True):
        assert other.f_merged == pytest.approx(one.f_merged, rel=1e-9)


LONGER = {
    **INDEPENDENT,
    "task/train_size": 600,
    "model/widths": [16],
    "trunk": {"epochs": 4, "branch_every": 4},
    "measures": {"metrics": ["loss"], "splits": ["test"], "batchnorm": "recalibrated"},
}


def test_alignment_is_recorded_and_helps(tmp_path):
    kinds = ("none", "weight_matching", "learned_matching")
    merges = [{"kind": "linear", "align": kind, "alphas": [0.5, 1.0]} for kind in kinds]
    records = rows(run_trial(tiny({**LONGER, "merges": merges}), fresh_store(tmp_path)))
    middle = {json.loads(r.merge_settings).get("align", "none"): r for r in records if r.alpha == 0.5}
    assert tuple(middle) == kinds
    assert middle["none"].gain < middle["weight_matching"].gain
    for record in records:
        if record.alpha == 1.0:
            assert record.f_merged == pytest.approx(record.f_b, rel=1e-4), "permuted, it is the same network"


def test_more_than_two_are_aligned_to_the_first(tmp_path):
    config = tiny(INDEPENDENT, **{"branch/count": 3})
    part = lineage(config, fresh_store(tmp_path))
    states = [end.state for end in part.endpoints(6, (0, 1, 2))]
    aligned = align(states, "weight_matching", part.network, "mlp", part.task, 0)
    assert aligned[0] is states[0]
    for before, after in zip(states[1:], aligned[1:], strict=True):
        assert not torch.equal(before["linear1.weight"], after["linear1.weight"])
        rows_of = [sorted(map(tuple, state["linear1.weight"].tolist())) for state in (before, after)]
        assert rows_of[0] == rows_of[1]


def test_only_known_networks_are_aligned(tmp_path):
    part = lineage(tiny(INDEPENDENT), fresh_store(tmp_path))
    with pytest.raises(AlignmentError, match='model "my:net" has no known permutations'):
        align([{}, {}], "weight_matching", part.network, "my:net", part.task, 0)
    merges = [{"kind": "linear", "align": "weight_matching"}]
    assert unsupported(small_recipe(start="independent", merges=merges)) == []
    own = small_recipe(model="my:net", merges=merges)
    assert unsupported(own) == ['merges/align of model "my:net"']
