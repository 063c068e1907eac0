"""Every method equals a slow float64 reference, over random networks of every kind."""

import numpy as np
import pytest
import reference
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from state_dicts import WEIGHT, Family, assert_exact, diagonals, families

from sweeper.merging import merge
from sweeper.merging.state_dict import BLOCK
from sweeper.merging.ties import GATHERED, largest

DENSITY = st.one_of(st.sampled_from([1e-9, 0.5, 1.0]), st.floats(1e-3, 1.0))
MANY = settings(max_examples=60, deadline=None)


def weights(data: st.DataObject, family: Family) -> list[float]:
    return data.draw(st.lists(WEIGHT, min_size=len(family.ends), max_size=len(family.ends)))


@MANY
@given(family=families(), data=st.data())
def test_linear_is_the_weighted_mean(family, data):
    chosen = weights(data, family)
    assume(abs(sum(chosen)) > 0.01)
    merged = merge("linear", family.ends, weights=chosen)
    scale = max(map(abs, chosen)) / abs(sum(chosen))
    for name in family.floats:
        assert_exact(merged[name], reference.weighted_mean(family.tensors(name), chosen), scale)


@MANY
@given(family=families(2, 2), alpha=st.floats(-1, 2))
def test_alpha_is_the_share_of_the_second(family, alpha):
    merged = merge("linear", family.ends, alpha=alpha)
    for name in family.floats:
        assert_exact(merged[name], reference.weighted_mean(family.tensors(name), [1 - alpha, alpha]))


@MANY
@given(family=families(), data=st.data())
def test_task_arithmetic_adds_task_vectors(family, data):
    chosen = weights(data, family)
    merged = merge("task_arithmetic", family.ends, family.base, weights=chosen)
    for name in family.floats:
        exact = reference.task_arithmetic(family.base[name], family.tensors(name), chosen)
        assert_exact(merged[name], exact, 10)


@MANY
@given(family=families(2, 2))
def test_task_arithmetic_at_a_half_is_the_midpoint(family):
    merged = merge("task_arithmetic", family.ends, family.base, alpha=0.5)
    for name in family.floats:
        assert_exact(merged[name], reference.weighted_mean(family.tensors(name), [1, 1]))


@MANY
@given(
    family=families(),
    density=DENSITY,
    trim=st.sampled_from(["tensor", "global"]),
    aggregate=st.sampled_from(["mean", "sum"]),
    alpha=st.floats(-1, 2),
    data=st.data(),
)
def test_ties_trims_elects_and_merges(family, density, trim, aggregate, alpha, data):
    chosen = data.draw(st.none() | st.just(weights(data, family)))
    given_settings = {"density": density, "trim": trim, "aggregate": aggregate, "weights": chosen}
    merged = merge("ties", family.ends, family.base, alpha=alpha, **given_settings)
    exact = reference.ties(
        [family.base[name] for name in family.floats],
        [[end[name] for name in family.floats] for end in family.ends],
        density,
        [1.0] * len(family.ends) if chosen is None else chosen,
        alpha,
        together=trim == "global",
        mean=aggregate == "mean",
    )
    for name, values in zip(family.floats, exact, strict=True):
        assert_exact(merged[name], values, 100)


@MANY
@given(
    family=families(),
    drop=st.sampled_from([0.0, 0.5, 0.9]),
    then=st.sampled_from(["task_arithmetic", "ties"]),
    density=DENSITY,
)
def test_dare_merges_thinned_task_vectors(family, drop, then, density):
    keys = [str(number) for number in range(len(family.ends))]
    zero = {name: torch.zeros_like(family.base[name]) for name in family.floats}
    thinned = []
    for end, key in zip(family.ends, keys, strict=True):
        # What is dropped is seen where every entry changed by one.
        changed = {name: torch.ones_like(tensor, dtype=torch.float64) for name, tensor in zero.items()}
        start = {name: torch.zeros_like(tensor) for name, tensor in changed.items()}
        kept = merge("dare", [changed], start, drop=drop, alpha=1.0, keys=[key])
        thinned.append([(end[n].double() - family.base[n].double()) * kept[n] for n in family.floats])
    merged = merge(
        "dare", family.ends, family.base, drop=drop, then=then, density=density, alpha=0.5, keys=keys
    )
    ones = [1.0] * len(keys)
    origins = [torch.zeros_like(tensor) for tensor in thinned[0]]
    changes = (
        reference.ties(origins, thinned, density, ones, 0.5, together=False, mean=True)
        if then == "ties"
        else [
            reference.task_arithmetic(origin, column, [0.5] * len(keys))
            for origin, *column in zip(origins, *thinned, strict=True)
        ]
    )
    for name, change in zip(family.floats, changes, strict=True):
        assert_exact(merged[name], family.base[name].double().numpy() + change, 100)


@MANY
@given(family=families(2, 2), alpha=st.floats(-0.5, 1.5))
def test_slerp_follows_the_arc_of_each_tensor(family, alpha):
    merged = merge("slerp", family.ends, alpha=alpha)
    for name in family.floats:
        assert_exact(merged[name], reference.slerp(*family.tensors(name), alpha), 100)


@pytest.mark.parametrize("other", [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 0.01]])
def test_slerp_is_linear_where_there_is_no_arc(other):
    ends = [{"layer": torch.tensor(values).double()} for values in ([2.0, 0.0], other)]
    assert torch.equal(merge("slerp", ends, alpha=0.25)["layer"], merge("linear", ends, alpha=0.25)["layer"])


def test_slerp_keeps_the_norm():
    ends = [{"layer": torch.tensor(values).double()} for values in ([3.0, 4.0], [-4.0, 3.0])]
    for alpha in (0.1, 0.5, 0.7):
        assert merge("slerp", ends, alpha=alpha)["layer"].norm() == pytest.approx(5)


@MANY
@given(family=families(), data=st.data())
def test_fisher_weighs_every_entry(family, data):
    masses = diagonals(family)
    if data.draw(st.booleans()):
        masses[0] = {name: torch.zeros_like(mass) for name, mass in masses[0].items()}
    chosen = data.draw(st.lists(st.floats(0.1, 3), min_size=len(masses), max_size=len(masses)))
    merged = merge("fisher", family.ends, fishers=masses, weights=chosen)
    for name in family.floats:
        floored = [w * np.maximum(mass[name].numpy(), 1e-6) for w, mass in zip(chosen, masses, strict=True)]
        assert_exact(merged[name], reference.entrywise_mean(family.tensors(name), floored))


@MANY
@given(family=families(), normalise=st.sampled_from(["none", "trace"]))
def test_preconditioned_weighs_by_inverses(family, normalise):
    diagonal = diagonals(family)
    merged = merge("preconditioned", family.ends, preconditioners=diagonal, normalise=normalise)
    traces = [sum(float(entries.sum()) for entries in each.values()) for each in diagonal]
    scales = traces if normalise == "trace" else [1.0] * len(traces)
    for name in family.floats:
        masses = [scale / each[name].numpy() for scale, each in zip(scales, diagonal, strict=True)]
        assert_exact(merged[name], reference.entrywise_mean(family.tensors(name), masses))


@pytest.mark.parametrize("kind", ["fisher", "preconditioned"])
@given(family=families(2, 2))
@settings(max_examples=20, deadline=None)
def test_what_no_diagonal_names_is_averaged(kind, family):
    name = {"fisher": "fishers", "preconditioned": "preconditioners"}[kind]
    merged, mean = merge(kind, family.ends, **{name: [{}, {}]}), merge("linear", family.ends)
    assert all(torch.equal(merged[name], mean[name]) for name in family.floats)


class TestLargeTensors:
    """Work is done in blocks; here there are several."""

    def test_blocks_fit_together(self):
        random = np.random.default_rng(0)
        base, *ends = (
            {"layer": torch.from_numpy(random.normal(size=(3, BLOCK)).astype(np.float32))} for _ in range(4)
        )
        merged = merge("ties", ends, base, density=0.3, weights=[1.0, 2.0, 0.5])
        tau = np.stack([end["layer"].double().numpy() - base["layer"].double().numpy() for end in ends])
        kept = int(0.3 * tau[0].size)
        for each in tau:
            each[np.abs(each) < np.sort(np.abs(each), axis=None)[-kept]] = 0
        votes = tau * np.array([1.0, 2.0, 0.5])[:, None, None]
        agree = np.sign(votes) == np.where(votes.sum(0) < 0, -1, 1)
        mass = (agree * np.array([1.0, 2.0, 0.5])[:, None, None]).sum(0)
        change = np.divide((votes * agree).sum(0), mass, out=np.zeros_like(mass), where=mass > 0)
        assert_exact(merged["layer"], base["layer"].double().numpy() + change)

    @pytest.mark.parametrize("kind", ["normal", "constant", "two values", "zeros"])
    def test_the_kth_largest_is_found_among_many(self, kind):
        size = GATHERED + BLOCK // 2
        random = np.random.default_rng(0)
        values = {
            "normal": random.normal(size=size),
            "constant": np.full(size, -0.1),
            "two values": random.choice([-1.0, 1.0 + 2**-52], size),
            "zeros": np.where(np.arange(size) < 5, 1.0, 0.0),
        }[kind]
        blocks = torch.from_numpy(values).split(BLOCK)
        ranked = np.sort(np.abs(values))[::-1]
        for k in (1, 2, 6, size // 3, size - 1, size):
            assert largest(lambda: blocks, size, k) == ranked[k - 1]
