"""Weight and learned matching: what they find in trained networks, and that it is an optimum."""

import functools
import itertools

import pytest
import reference
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from permutable import ARCHITECTURES, Trained, midpoint, shuffled, trained
from torch.func import functional_call

from sweeper.alignment import learned_matching, permutation_spec, permute, weight_matching
from sweeper.alignment.matching import assign
from sweeper.models import MODELS
from sweeper.training import state_of

network_of = functools.cache(trained)


@pytest.mark.parametrize("label", ARCHITECTURES)
def test_a_permuted_copy_of_a_trained_network_is_recovered(label):
    net = network_of(label)
    own = net.accuracy(net.state)
    assert own > 0.4, "it has learned something; chance is 0.1"
    for seed in range(3):
        copy = permute(net.state, net.spec, shuffled(net.spec, net.state, seed))
        torch.testing.assert_close(net.outputs(copy), net.outputs(net.state), rtol=1e-3, atol=1e-3)
        assert net.accuracy(midpoint(net.state, copy)) < own - 0.1, "merged as it is it has lost that"
        found = permute(copy, net.spec, weight_matching(net.state, copy, net.spec, seed))
        assert all(torch.equal(found[name], net.state[name]) for name in net.state)
        assert net.accuracy(midpoint(net.state, found)) == own


def small(seed: int, widths: list[int]):
    """A network of a few random units, biases too."""
    draws = torch.Generator().manual_seed(seed)
    network = MODELS["mlp"]((3,), 2, widths=widths)
    state = {
        name: torch.randn(tensor.shape, generator=draws) if tensor.ndim else tensor
        for name, tensor in state_of(network).items()
    }
    return state, permutation_spec("mlp", network)


@settings(max_examples=20)
@given(seed=st.integers(0, 999))
def test_no_permutation_alone_brings_two_networks_nearer(seed):
    (a, spec), (b, _) = small(seed, [4, 3]), small(seed + 1, [4, 3])
    weights = [name for name in spec.axes if "running" not in name]

    def agreement(orders: dict[str, list[int]]) -> float:
        return sum(
            float((a[name].double().numpy() * reference.permuted(b[name], spec.axes[name], orders)).sum())
            for name in weights
        )

    found = {name: order.tolist() for name, order in weight_matching(a, b, spec, seed).items()}
    best = agreement(found)
    for name, order in found.items():
        for other in itertools.permutations(order):
            assert agreement({**found, name: list(other)}) <= best + 1e-9


def test_one_hidden_layer_is_matched_best_of_all():
    (a, spec), (b, _) = small(0, [5]), small(1, [5])
    weights = [name for name in spec.axes if "running" not in name]

    def distance(orders: dict[str, list[int]]) -> float:
        return sum(
            float(
                ((a[name].double().numpy() - reference.permuted(b[name], spec.axes[name], orders)) ** 2).sum()
            )
            for name in weights
        )

    found = {name: order.tolist() for name, order in weight_matching(a, b, spec).items()}
    least = min(distance({"linear1": list(order)}) for order in itertools.permutations(range(5)))
    assert distance(found) == pytest.approx(least, abs=1e-12)


@settings(max_examples=20)
@given(
    heads=st.integers(1, 3),
    widths=st.lists(st.integers(1, 2), min_size=1, max_size=2),
    seed=st.integers(0, 99),
)
def test_heads_are_assigned_as_the_best_of_all_their_orders(heads, widths, seed):
    draws = torch.Generator().manual_seed(seed)
    tables = [
        torch.randn(heads * width, heads * width, generator=draws, dtype=torch.float64) for width in widths
    ]
    picked = assign(tables, heads)

    values = [table.tolist() for table in tables]

    def total(orders) -> float:
        return sum(
            row[place]
            for table, order in zip(values, orders, strict=True)
            for row, place in zip(table, order, strict=True)
        )

    def allowed(orders) -> bool:
        blocks = [
            [unit // width for unit in order[::width]] for order, width in zip(orders, widths, strict=True)
        ]
        return all(each == blocks[0] for each in blocks)

    candidates = itertools.product(*(reference.head_orders(heads * width, heads) for width in widths))
    best = max(total(orders) for orders in candidates if allowed(orders))
    assert allowed([order.tolist() for order in picked])
    assert total([order.tolist() for order in picked]) == pytest.approx(best, abs=1e-12)


def test_the_seed_decides():
    a, b = network_of("gpt"), network_of("gpt", 1)
    one, again = (weight_matching(a.state, b.state, a.spec, seed=3) for _ in range(2))
    assert all(torch.equal(one[name], again[name]) for name in one)


def loss_of(net: Trained):
    names = [name for name, _ in net.network.named_parameters()]

    def loss(state: dict[str, torch.Tensor]) -> torch.Tensor:
        outputs = functional_call(net.network, {name: state[name] for name in names}, (net.inputs,))
        return F.cross_entropy(outputs, net.targets)

    return loss


def test_learned_matching_finds_a_better_midpoint_for_a_gpt():
    one, other = network_of("gpt"), network_of("gpt", 1)
    loss = loss_of(one)

    def midpoint_loss(orders) -> float:
        return float(loss(midpoint(one.state, permute(other.state, one.spec, orders))))

    start = weight_matching(one.state, other.state, one.spec)
    learned = learned_matching(one.state, other.state, one.spec, loss, start, steps=150)
    assert midpoint_loss(learned) < midpoint_loss(start) - 0.01
    again = learned_matching(one.state, other.state, one.spec, loss, start, steps=150)
    assert all(torch.equal(learned[name], again[name]) for name in learned)
    moved = permute(other.state, one.spec, learned)
    torch.testing.assert_close(one.outputs(moved), one.outputs(other.state), rtol=1e-3, atol=1e-3)


def test_learned_matching_keeps_what_is_best_already():
    net = network_of("mlp without norm")
    orders = shuffled(net.spec, net.state, 0)
    copy = permute(net.state, net.spec, orders)
    start = {name: order.argsort() for name, order in orders.items()}
    kept = learned_matching(net.state, copy, net.spec, loss_of(net), start, steps=5)
    recovered = permute(copy, net.spec, kept)
    assert all(torch.equal(recovered[name], net.state[name]) for name in net.state)
