"""What a permutation does to a network's parameters, and that it leaves what the network computes."""

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from permutable import ARCHITECTURES, shuffled

from sweeper.alignment import (
    AlignmentError,
    PermutationSpec,
    check_same_function,
    permutation_spec,
    permute,
)
from sweeper.models import MODELS
from sweeper.training import state_of

SPEC = PermutationSpec(
    {
        "square": (("p",), ("q",)),
        "joined": ((), ("q", "p")),
        "bias": (("p",),),
        "filters": (("q",), ("p",)),
        "scale": (),
    }
)


@st.composite
def networks(draw: st.DrawFn):
    """A state that `SPEC` fits, and two sets of permutations."""
    p, q = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    draws = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    shapes = {"square": (p, q), "joined": (2, p + q), "bias": (p,), "filters": (q, p, 2), "scale": ()}
    state = {name: torch.randn(shape, generator=draws, dtype=torch.float64) for name, shape in shapes.items()}
    state["batches"] = torch.tensor(7)
    orders = [
        {name: draw(st.permutations(range(size))) for name, size in (("p", p), ("q", q))} for _ in range(2)
    ]
    return state, *({name: torch.tensor(order) for name, order in each.items()} for each in orders)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@given(networks())
def test_every_entry_goes_where_the_orders_say(drawn):
    state, orders, _ = drawn
    before = {name: tensor.clone() for name, tensor in state.items()}
    moved = permute(state, SPEC, orders)
    lists = {name: order.tolist() for name, order in orders.items()}
    for name, axes in SPEC.axes.items():
        np.testing.assert_array_equal(moved[name].numpy(), reference.permuted(state[name], axes, lists))
    assert moved["batches"] == 7
    for tensor in moved.values():
        tensor.zero_()
    assert same(state, before), "no input is changed, no memory shared"


@given(networks())
def test_permutations_are_a_group(drawn):
    state, first, second = drawn
    identity = {name: torch.arange(len(order)) for name, order in first.items()}
    assert same(permute(state, SPEC, identity), state)
    inverse = {name: order.argsort() for name, order in first.items()}
    assert same(permute(permute(state, SPEC, first), SPEC, inverse), state)
    both = {name: order[second[name]] for name, order in first.items()}
    assert same(permute(permute(state, SPEC, first), SPEC, second), permute(state, SPEC, both))


LARGE = {"resnet18": ("resnet18", {}), "densenet121": ("densenet121", {})}


@pytest.mark.parametrize("label", [*ARCHITECTURES, *LARGE])
def test_a_permuted_network_computes_the_same(label):
    name, settings = (ARCHITECTURES | LARGE)[label]
    shape, classes = ((16,), 12) if name == "gpt" else ((1, 8, 8), 10)
    network = MODELS[name](shape, classes, **settings)
    draws = torch.Generator().manual_seed(0)
    # Fresh biases are 0 and fresh statistics 0 and 1: none of them would miss its permutation.
    state = {
        key: torch.rand(tensor.shape, generator=draws) + 0.5 if tensor.ndim == 1 else tensor
        for key, tensor in state_of(network).items()
    }
    spec = permutation_spec(name, network)
    moved = permute(state, spec, shuffled(spec, state, 0))
    assert all(not torch.equal(moved[key], state[key]) for key, axes in spec.axes.items() if any(axes))
    inputs = torch.randint(classes, (3, *shape), generator=draws).double()
    check_same_function(network, state, moved, inputs)


def an_mlp():
    network = MODELS["mlp"]((5,), 3, widths=[4, 6])
    state = {
        key: torch.rand(tensor.shape) if tensor.ndim else tensor for key, tensor in state_of(network).items()
    }
    return network, state, permutation_spec("mlp", network)


@pytest.mark.parametrize(
    ("tensor", "axes", "layer"),
    [
        ("norm1.running_mean", ((),), "norm1"),
        ("norm2.running_var", ((),), "norm2"),
        ("linear1.bias", ((),), "linear1"),
        ("linear2.weight", (("linear2",), ()), "linear2"),
        ("classifier.weight", ((), ()), "classifier"),
    ],
)
def test_a_wrong_spec_is_found_out_at_its_layer(tensor, axes, layer):
    network, state, spec = an_mlp()
    wrong = PermutationSpec({**spec.axes, tensor: axes})
    moved = permute(state, wrong, {name: order.roll(1) for name, order in arange(wrong, state).items()})
    before = state_of(network)
    with pytest.raises(AlignmentError, match=f"^{layer}: the permuted network differs from this layer on"):
        check_same_function(network, state, moved, torch.rand(9, 5))
    assert same(state_of(network), before)


def arange(spec, state):
    return {name: torch.arange(size) for name, size in spec.sizes(state).items()}


def test_heads_move_as_one():
    network = MODELS["gpt"]((16,), 12, **ARCHITECTURES["gpt"][1])
    state, spec = state_of(network), permutation_spec("gpt", network)
    orders = arange(spec, state)
    orders["layers.1.value"] = orders["layers.1.value"].roll(4)
    tokens = torch.arange(16)[None] % 12
    with pytest.raises(AlignmentError, match=r"^layers\.1\.output: the permuted network differs"):
        check_same_function(network, state, permute(state, spec, orders), tokens)
    orders["layers.1.query"] = orders["layers.1.query"].roll(4)
    check_same_function(network, state, permute(state, spec, orders), tokens)


def test_a_network_in_which_outputs_change_places_is_another():
    network, state, _ = an_mlp()
    moved = {
        **state,
        **{f"classifier.{part}": state[f"classifier.{part}"].flip(0) for part in ("weight", "bias")},
    }
    with pytest.raises(AlignmentError, match=r"^the last: the permuted network differs"):
        check_same_function(network, state, moved, torch.rand(9, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra.weight": torch.rand(2)}, r"extra\.weight: the permutation spec has no such tensor"),
        ({"linear2.bias": None}, r"linear2\.bias: the network has no such tensor"),
        ({"linear2.weight": torch.rand(6, 5)}, r"linear2\.weight: 5 units lie along linear1, not 4"),
        ({"norm1.weight": torch.rand(3)}, r"norm1\.weight: 3 units lie along linear1, not 4"),
    ],
)
def test_what_the_spec_does_not_fit_is_named(change, message):
    _, state, spec = an_mlp()
    changed = {name: tensor for name, tensor in {**state, **change}.items() if tensor is not None}
    with pytest.raises(AlignmentError, match=message):
        spec.sizes(changed)


def test_joined_axes_are_as_long_as_their_parts():
    state = {"w": torch.rand(2, 3), "v": torch.rand(4)}
    spec = PermutationSpec({"w": (("p",), ("q",)), "v": (("p", "q"),)})
    with pytest.raises(AlignmentError, match=r"v: 4 units lie along p\+q, not 5"):
        spec.sizes(state)


def test_what_is_no_order_is_named():
    _, state, spec = an_mlp()
    with pytest.raises(AlignmentError, match="linear1: not an order of 4 units"):
        permute(state, spec, {"linear1": torch.tensor([0, 1, 2, 2]), "linear2": torch.arange(6)})


def test_a_model_without_known_permutations_is_named():
    with pytest.raises(
        AlignmentError, match='model "convnext_tiny" has no known permutations; align one of mlp'
    ):
        permutation_spec("convnext_tiny", torch.nn.Identity())
