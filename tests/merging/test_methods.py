"""What every merge method keeps to, over the registry; and the laws of those that have them."""

import itertools

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweeper.merging import METHODS, MergeError, StateDict, merge

SHAPES = st.lists(st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=3)
WEIGHTS = st.lists(st.floats(0.1, 10), min_size=1, max_size=4)


def endpoints(
    shapes: list[tuple[int, ...]], count: int, dtype: torch.dtype = torch.float64
) -> list[StateDict]:
    """Networks of random parameters of these shapes, and a counter of batches."""
    generator = torch.Generator().manual_seed(len(shapes))
    return [
        {
            **{
                f"layer{number}": torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
                for number, shape in enumerate(shapes)
            },
            "batches": torch.tensor(10 + index),
        }
        for index in range(count)
    ]


def copies(states: list[StateDict]) -> list[StateDict]:
    return [{name: tensor.clone() for name, tensor in state.items()} for state in states]


def equal(one: StateDict, other: StateDict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_within_an_ulp(value: Tensor, exact: Tensor) -> None:
    """`value` is the float64 `exact` rounded to its type, or a neighbour of that in the type."""
    rounded = exact.to(value.dtype)
    below, above = (
        torch.nextafter(rounded, torch.full_like(rounded, end)) for end in (-torch.inf, torch.inf)
    )
    assert ((below <= value) & (value <= above)).all()


@pytest.mark.parametrize("kind", METHODS)
class TestEveryMethod:
    @settings(max_examples=25)
    @given(shapes=SHAPES, dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]))
    def test_keeps_shapes_types_and_inputs(self, kind, shapes, dtype):
        states = endpoints(shapes, 2, dtype)
        base = endpoints(shapes, 3, dtype)[2]
        before = copies([*states, base])
        merged = merge(kind, states, base)
        assert all(equal(one, other) for one, other in zip([*states, base], before, strict=True))
        assert {name: (tensor.shape, tensor.dtype) for name, tensor in merged.items()} == {
            name: (tensor.shape, tensor.dtype) for name, tensor in base.items()
        }
        assert equal(merged, merge(kind, states, base))
        for tensor in merged.values():
            tensor.fill_(0)
        assert all(equal(one, other) for one, other in zip([*states, base], before, strict=True)), (
            "no shared memory"
        )

    def test_says_which_endpoint_lacks_what(self, kind):
        states = endpoints([(2,), (3,)], 3)
        del states[1]["layer1"]
        with pytest.raises(MergeError, match="layer1: missing in endpoint 2"):
            merge(kind, states, states[0])
        with pytest.raises(MergeError, match="layer1: missing in endpoint 1"):
            merge(kind, states[1:], states[0])

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (torch.zeros(3, dtype=torch.float64), r"layer0: shape \(3,\) of endpoint 2 is not \(2,\)"),
            (torch.zeros(2), "layer0: dtype torch.float32 of endpoint 2 is not torch.float64"),
            (torch.tensor([1.0, torch.nan]).double(), "layer0: endpoint 2 has values that are not finite"),
            (torch.tensor([1.0, torch.inf]).double(), "layer0: endpoint 2 has values that are not finite"),
        ],
        ids=["shape", "dtype", "nan", "infinity"],
    )
    def test_names_what_does_not_fit(self, kind, value, message):
        states = endpoints([(2,)], 2)
        states[1]["layer0"] = value
        with pytest.raises(MergeError, match=message):
            merge(kind, states, endpoints([(2,)], 1)[0])

    def test_names_a_setting_it_does_not_know(self, kind):
        with pytest.raises(ValueError, match="unexpected keyword argument 'dropout'"):
            merge(kind, endpoints([(2,)], 2), dropout=0.5)

    def test_wants_something_to_merge(self, kind):
        with pytest.raises(MergeError, match="no endpoints"):
            merge(kind, [])


def test_an_unknown_method_is_named_with_the_known_ones():
    with pytest.raises(MergeError, match='no merge "avarage"; known: linear'):
        merge("avarage", endpoints([(2,)], 2))


@given(shapes=SHAPES, weights=WEIGHTS, dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]))
def test_linear_is_the_weighted_mean(shapes, weights, dtype):
    states = endpoints(shapes, len(weights), dtype)
    merged = merge("linear", states, weights=weights)
    for name in itertools.islice(merged, len(shapes)):
        expected = torch.from_numpy(reference.weighted_mean([state[name] for state in states], weights))
        if dtype == torch.float64:
            np.testing.assert_allclose(merged[name].numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)
        else:
            assert_within_an_ulp(merged[name], expected)
    assert merged["batches"] == 10, "counters are the first endpoint's"


@given(shapes=SHAPES, alpha=st.floats(-1, 2))
def test_alpha_is_the_share_of_the_second(shapes, alpha):
    states = endpoints(shapes, 2)
    merged = merge("linear", states, alpha=alpha)
    for name in itertools.islice(merged, len(shapes)):
        expected = reference.weighted_mean([state[name] for state in states], [1 - alpha, alpha])
        np.testing.assert_allclose(merged[name].numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_ends_of_a_line_are_the_endpoints(dtype):
    states = endpoints([(3, 2), ()], 2, dtype)
    assert equal(merge("linear", states, alpha=0.0), states[0])
    assert equal(merge("linear", states, alpha=1.0), {**states[1], "batches": states[0]["batches"]})


@given(shapes=SHAPES, count=st.integers(1, 7))
def test_copies_merge_to_themselves(shapes, count):
    state = endpoints(shapes, 1, torch.float32)[0]
    assert equal(merge("linear", [state] * count), state)


@given(shapes=SHAPES, order=st.permutations(range(4)))
def test_the_order_of_equal_weights_does_not_matter(shapes, order):
    states = endpoints(shapes, 4)
    one, other = merge("linear", states), merge("linear", [states[index] for index in order])
    for name in itertools.islice(one, len(shapes)):
        assert torch.allclose(one[name], other[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": [1.0, -1.0]}, r"weights \[1.0, -1.0\] sum to zero"),
        ({"weights": [1.0, 2.0, 3.0]}, "3 weights for 2 endpoints"),
        ({"weights": [1.0, 1.0], "alpha": 0.5}, "name alpha or weights, not both"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(MergeError, match=message):
        merge("linear", endpoints([(2,)], 2), **settings)


def test_alpha_is_for_pairs():
    with pytest.raises(MergeError, match=r"alpha 0\.5 is for two endpoints, got 3; use weights"):
        merge("linear", endpoints([(2,)], 3), alpha=0.5)
