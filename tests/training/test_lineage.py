from pathlib import Path

import pytest
import torch
from tiny import DIVERGING, NO_NORM, RESNET, fresh_store, lineage, same_bits, tiny

from search_spaces.resources import Retention
from sweeper.store import Store
from sweeper.training import Lineage

ADAMW = {"train/optimizer": "adamw", "train/lr": 0.01}


def walk(part: Lineage) -> dict[str, float]:
    """Ask for every endpoint, as a trial does, and return what was trained."""
    for step in part.branch_steps:
        for seed in part.config.branch.resolved_seeds:
            part.endpoint(step, seed)
    return part.take_trained()


def ran(store: Store, retention: Retention = Retention(), **settings: object) -> float:
    """Epochs trained by a trial with these settings, `trunk__epochs` for trunk/epochs."""
    config = tiny({path.replace("__", "/"): value for path, value in settings.items()})
    return sum(walk(lineage(config, store, retention)).values())


@pytest.mark.parametrize("settings", [{}, ADAMW, RESNET], ids=["sgd", "adamw", "resnet8"])
def test_a_trunk_with_more_branch_points_has_the_same_bits(settings, tmp_path):
    coarse = lineage(tiny(settings), fresh_store(tmp_path, "coarse"))
    fine = lineage(tiny(settings, **{"trunk/branch_every_steps": 4}), fresh_store(tmp_path, "fine"))
    assert (coarse.branch_steps, fine.branch_steps) == ([6, 12], [4, 8, 12])
    assert coarse.trunk_key(12) == fine.trunk_key(12)
    one, other = coarse.trunk(12).tensors, fine.trunk(12).tensors
    assert same_bits(one, other)
    assert any(name.startswith("optimizer/") for name in one)
    assert same_bits(coarse.endpoint(12, 0).state, fine.endpoint(12, 0).state)


@pytest.mark.parametrize("settings", [{}, ADAMW], ids=["sgd", "adamw"])
def test_a_branch_carries_the_optimizers_state_unless_told_otherwise(settings, tmp_path):
    carried = lineage(tiny(settings), fresh_store(tmp_path)).endpoint(6, 0)
    fresh = lineage(tiny(settings, **{"branch/optimizer_state": "fresh"}), fresh_store(tmp_path)).endpoint(
        6, 0
    )
    assert carried.key != fresh.key
    assert not same_bits(carried.state, fresh.state)


def test_branches_differ_in_their_data_alone(tmp_path):
    one, again = (lineage(tiny(), fresh_store(tmp_path, name)) for name in ("one", "again"))
    first, second, same = one.endpoint(6, 0), one.endpoint(6, 1), again.endpoint(6, 0)
    assert first.key != second.key
    assert not same_bits(first.state, second.state)
    assert first.key == same.key
    assert same_bits(first.state, same.state), "the same seed is the same branch"


def test_branches_start_from_the_trunk(tmp_path):
    part = lineage(tiny({"train/lr": 1e-30, "branch/decay_steps": 1}), fresh_store(tmp_path))
    trunk, ends = part.trunk(6).tensors, [part.endpoint(6, seed).state for seed in (0, 1)]
    for name, _ in part.network.named_parameters():
        for end in ends:
            assert torch.allclose(end[name], trunk[name], rtol=0, atol=1e-25), "a step of 1e-30 moves nothing"


def test_only_what_is_new_is_trained(tmp_path):
    store = fresh_store(tmp_path)
    assert ran(store) == pytest.approx(2 + 2 * 2 * 1), "N + m·c·D"
    assert ran(store) == 0
    assert ran(store, trunk__epochs=3) == pytest.approx(1 + 2), (
        "a longer trunk: its new part and new branches"
    )
    assert ran(store, branch__count=3) == pytest.approx(2), "one more branch at each of two branch points"
    assert ran(store, branch__seeds=[1, 0]) == 0
    assert ran(store, branch__decay_epochs=2) == pytest.approx(4 * 2), "branches anew, from the same trunk"
    assert ran(store, trunk__branch_every_steps=3) == pytest.approx(0.5 + 0.5 + 2 * 2), (
        "between, and there alone"
    )


def test_damage_costs_what_was_damaged(tmp_path):
    store = fresh_store(tmp_path)
    part = lineage(tiny(), store)
    walk(part)
    before = part.endpoint(12, 1)
    store.delete(before.key)
    store.delete(part.trunk_key(6))
    after = part.endpoint(12, 1)
    assert same_bits(before.state, after.state)
    assert part.take_trained() == {before.key: 1.0}


class TestDivergence:
    def test_branch_points_after_it_are_not_trained(self, tmp_path: Path) -> None:
        part = lineage(tiny(DIVERGING, **{"trunk/epochs": 3}), store := fresh_store(tmp_path))
        trained = walk(part)
        assert trained[part.trunk_key(6)] == pytest.approx(1)
        assert sum(trained.values()) == pytest.approx(1)
        assert all(part.endpoint(step, 0).state is None for step in part.branch_steps)
        assert walk(lineage(part.config, store)) == {}

    def test_it_stops_early(self, tmp_path: Path) -> None:
        config = tiny(DIVERGING, **{"trunk/epochs": 100, "trunk/branch_every": 100})
        part = lineage(config, fresh_store(tmp_path))
        assert sum(walk(part).values()) == pytest.approx(51 / 6), "the second look is at step 50"

    def test_a_branch_can_diverge_alone(self, tmp_path: Path) -> None:
        part = lineage(tiny(NO_NORM), store := fresh_store(tmp_path))
        trunk = part.trunk(12)
        store.save(
            part.trunk_key(12), {name: 1e30 * value for name, value in trunk.tensors.items()}, trunk.meta
        )
        assert part.endpoint(6, 0).state is not None
        assert part.endpoint(12, 0).state is None
        assert part.endpoint(12, 0).key in part.take_trained()


class TestRetention:
    def test_records_keeps_nothing(self, tmp_path: Path) -> None:
        store = fresh_store(tmp_path)
        for settings, retention in [
            ({}, Retention(keep="records", last=2, moments=True)),
            (DIVERGING, Retention(keep="records")),
        ]:
            part = lineage(tiny(settings), store, retention)
            made = set(walk(part))
            assert set(store.keys()) == made
            part.retire(made)
            assert list(store.keys()) == []

    def test_records_keeps_what_others_trained(self, tmp_path: Path) -> None:
        store = fresh_store(tmp_path)
        walk(lineage(tiny(), store))
        held = set(store.keys())
        longer = lineage(tiny({"trunk/epochs": 3}), store, Retention(keep="records"))
        longer.retire(walk(longer))
        assert set(store.keys()) == held

    def test_endpoints_and_moments_and_the_last_checkpoints(self, tmp_path: Path) -> None:
        store = fresh_store(tmp_path)
        settings = {"branch__decay_epochs": 3}
        assert ran(store, **settings) == pytest.approx(2 + 4 * 3)
        assert len(list(store.keys())) == 2 + 4
        assert ran(store, Retention(moments=True), **settings) == pytest.approx(4 * 3), "the trunk was there"
        assert len(list(store.keys())) == 2 + 4 * 2
        assert ran(store, Retention(keep="all"), **settings) == 0
        assert ran(store, Retention(last=3), **settings) == pytest.approx(4 * 3)
        assert len(list(store.keys())) == 2 + 4 * (2 + 2)
        assert ran(store, Retention(last=2, moments=True), **settings) == 0

    def test_keeping_more_changes_no_bits(self, tmp_path: Path) -> None:
        config = tiny({"branch/decay_epochs": 3})
        plain = lineage(config, fresh_store(tmp_path, "plain")).endpoint(6, 0)
        store = fresh_store(tmp_path, "kept")
        part = lineage(config, store, Retention(keep="all", last=3))
        kept = part.endpoint(6, 0)
        assert plain.key == kept.key
        assert same_bits(plain.state, kept.state)
        full = [
            c.tensors for c in map(store.load, store.keys()) if any("momentum" in name for name in c.tensors)
        ]
        assert any(same_bits({n: t[n] for n in plain.state}, plain.state) for t in full), (
            "moments come with it"
        )
