"""What every merge method keeps to, over the registry; and the laws of those that have them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from state_dicts import Family, assert_exact, copies, diagonals, equal, families

from sweeper.merging import METHODS, MergeError, StateDict, merge

FEW = settings(max_examples=25, deadline=None)


def needed(kind: str, family: Family) -> dict[str, Any]:
    """The settings without which `kind` doesn't run."""
    match kind:
        case "fisher":
            return {"fishers": diagonals(family)}
        case "preconditioned":
            return {"preconditioners": diagonals(family)}
    return {}


def plain(count: int = 2, *shapes: tuple[int, ...]) -> Family:
    """A family of float64 networks with random parameters of these shapes."""
    random = torch.Generator().manual_seed(count)
    states = [
        {
            f"layer{number}": torch.randn(shape, generator=random, dtype=torch.float64)
            for number, shape in enumerate(shapes or [(2,), (3,)])
        }
        for _ in range(count + 1)
    ]
    return Family(states[0], states[1:])


@pytest.mark.parametrize("kind", METHODS)
class TestEveryMethod:
    @FEW
    @given(family=families(2, 2))
    def test_keeps_shapes_types_and_inputs(self, kind, family):
        inputs, given_settings = [*family.ends, family.base], needed(kind, family)
        before = copies(inputs)
        merged = merge(kind, family.ends, family.base, **given_settings)
        assert all(equal(one, other) for one, other in zip(inputs, before, strict=True))
        assert {name: (tensor.shape, tensor.dtype) for name, tensor in merged.items()} == {
            name: (tensor.shape, tensor.dtype) for name, tensor in family.base.items()
        }
        assert equal(merged, merge(kind, family.ends, family.base, **given_settings))
        assert merged["batches"] == family.ends[0]["batches"], "counters are the first endpoint's"
        for tensor in merged.values():
            tensor.fill_(0)
        assert all(equal(one, other) for one, other in zip(inputs, before, strict=True)), "no shared memory"

    def test_memory_layout_does_not_matter(self, kind):
        family = plain(2, (2, 3, 4, 5))
        laid_out = [
            {name: tensor.to(memory_format=torch.channels_last) for name, tensor in each.items()}
            for each in (*family.ends, family.base)
        ]
        merged = merge(kind, laid_out[:2], laid_out[2], **needed(kind, family))
        assert equal(merged, merge(kind, family.ends, family.base, **needed(kind, family)))

    @FEW
    @given(family=families(2, 2))
    def test_tied_weights_are_merged_once_and_stay_tied(self, kind, family):
        tied = [{**each, "head": each["layer0"]} for each in (*family.ends, family.base)]
        merged = merge(kind, tied[:2], tied[2], **needed(kind, family))
        assert merged["head"] is merged["layer0"]
        assert list(merged) == list(tied[0])
        del merged["head"]
        assert equal(merged, merge(kind, family.ends, family.base, **needed(kind, family)))

    def test_says_which_endpoint_lacks_what(self, kind):
        family = plain(3)
        del family.ends[1]["layer1"]
        with pytest.raises(MergeError, match="layer1: missing in endpoint 2"):
            merge(kind, family.ends, family.base, **needed(kind, family))
        with pytest.raises(MergeError, match="layer1: missing in endpoint 1"):
            merge(kind, family.ends[1:], family.base, **needed(kind, family))
        del family.base["layer0"]
        with pytest.raises(MergeError, match="layer0: missing in the base"):
            merge(kind, [family.ends[0]] * 2, family.base)

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
        family = plain(2)
        family.ends[1]["layer0"] = value
        with pytest.raises(MergeError, match=message):
            merge(kind, family.ends, family.base, **needed(kind, plain(2)))

    def test_names_a_setting_it_does_not_know(self, kind):
        with pytest.raises(ValueError, match="unexpected keyword argument 'dropout'"):
            merge(kind, plain().ends, dropout=0.5, **needed(kind, plain()))

    def test_wants_something_to_merge(self, kind):
        with pytest.raises(MergeError, match="no endpoints"):
            merge(kind, [])


def test_an_unknown_method_is_named_with_the_known_ones():
    with pytest.raises(MergeError, match='no merge "avarage"; known: linear'):
        merge("avarage", plain().ends)


def test_large_values_are_not_mistaken_for_infinite_ones():
    state = {"layer": torch.tensor([3e38, 3e38])}
    assert equal(merge("linear", [state, state]), state)


def test_tied_in_one_endpoint_only_is_not_tied():
    family = plain(2, (2,), (2,))
    family.ends[0]["layer1"] = family.ends[0]["layer0"]
    assert equal(merge("linear", family.ends), merge("linear", copies(family.ends)))


COPIES: dict[str, dict[str, Any]] = {
    "linear": {},
    "slerp": {},
    "fisher": {},
    "preconditioned": {},
    "task_arithmetic": {},
    "ties": {"density": 1.0},
    "dare": {"drop": 0.0},
}


@pytest.mark.parametrize("kind", COPIES)
@FEW
@given(family=families(1, 1, [torch.float64, torch.float32]), count=st.integers(1, 8))
def test_copies_merge_to_themselves(kind, family, count):
    family = Family(family.base, family.ends * (2 if kind == "slerp" else count))
    merged = merge(kind, family.ends, family.base, **COPIES[kind], **needed(kind, family))
    for name in family.floats:
        assert_exact(merged[name], family.ends[0][name].double().numpy())


@pytest.mark.parametrize("kind", METHODS)
@FEW
@given(family=families(2, 5, [torch.float64]), data=st.data())
def test_the_order_of_endpoints_does_not_matter(kind, family, data):
    ends = family.ends[:2] if kind == "slerp" else family.ends
    order = data.draw(st.permutations(range(len(ends))))
    given_settings = needed(kind, Family(family.base, ends))
    one = merge(kind, ends, family.base, **given_settings)
    shuffled = {name: [each[index] for index in order] for name, each in given_settings.items()}
    other = merge(kind, [ends[index] for index in order], family.base, **shuffled)
    for name in family.floats:
        assert_exact(one[name], other[name].numpy())


@pytest.mark.parametrize("kind", ["linear", "slerp", "fisher", "preconditioned"])
@FEW
@given(family=families(2, 2))
def test_the_ends_of_a_curve_are_the_endpoints(kind, family):
    for alpha, end in zip((0.0, 1.0), family.ends, strict=True):
        merged = merge(kind, family.ends, alpha=alpha, **needed(kind, family))
        for name in family.floats:
            assert_exact(merged[name], end[name].double().numpy())
            if kind in {"linear", "slerp"}:
                assert torch.equal(merged[name], end[name])


@pytest.mark.parametrize("kind", METHODS)
@FEW
@given(family=families(2, 2, [torch.float64]))
def test_the_order_of_tensors_does_not_matter(kind, family):
    def turned(state: StateDict) -> StateDict:
        return dict(reversed(state.items()))

    one = merge(kind, family.ends, family.base, **needed(kind, family))
    other = merge(kind, [turned(end) for end in family.ends], turned(family.base), **needed(kind, family))
    assert equal(one, turned(other))


@pytest.mark.parametrize(
    ("kind", "given_settings", "message"),
    [
        ("linear", {"weights": [1.0, -1.0]}, r"linear: weights \[1.0, -1.0\] sum to zero"),
        ("linear", {"weights": [1.0, 2.0, 3.0]}, "linear: 3 weights for 2 endpoints"),
        ("linear", {"weights": [1.0, 1.0], "alpha": 0.5}, "linear: name alpha or weights, not both"),
        ("task_arithmetic", {"weights": [1.0, 1.0], "alpha": 0.5}, "name alpha or weights, not both"),
        ("task_arithmetic", {"weights": [1.0]}, "task_arithmetic: 1 weights for 2 endpoints"),
        ("ties", {"density": 0.0}, r"ties: density 0.0 is outside \(0, 1\]"),
        ("ties", {"density": 1.5}, r"ties: density 1.5 is outside \(0, 1\]"),
        ("ties", {"trim": "layer"}, 'ties: no trim "layer"; choose tensor or global'),
        ("ties", {"aggregate": "median"}, 'ties: no aggregate "median"; choose mean or sum'),
        ("ties", {"weights": [1.0]}, "ties: 1 weights for 2 endpoints"),
        ("dare", {"drop": 1.0}, r"dare: drop 1.0 is outside \[0, 1\)"),
        ("dare", {"then": "linear"}, 'dare: no then "linear"; choose task_arithmetic or ties'),
        ("dare", {"keys": ["a"]}, "dare: 1 keys for 2 endpoints"),
        ("dare", {"then": "ties", "density": 0.0}, "dare: density 0.0 is outside"),
        ("fisher", {"fishers": [{}]}, "fisher: 1 diagonals for 2 endpoints"),
        ("fisher", {"fishers": [{}, {}], "weights": [1, -1]}, "fisher: weights .* sum to zero"),
        ("preconditioned", {"preconditioners": [{}, {}], "normalise": "max"}, 'no normalise "max"'),
    ],
)
def test_settings_that_make_no_sense_are_named(kind, given_settings, message):
    with pytest.raises(MergeError, match=message):
        merge(kind, plain().ends, plain().base, **given_settings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layer9": torch.ones(2)}, "layer9: missing in diagonal 1"),
        ({"layer0": torch.ones(3)}, r"layer0: shape \(3,\) of diagonal 2 of fisher is not \(2,\)"),
        ({"layer0": torch.tensor([1.0, -1.0])}, "layer0: diagonal 2 of fisher must be finite and at least 0"),
        ({"layer0": torch.tensor([1.0, torch.nan])}, "layer0: diagonal 2 of fisher must be finite"),
    ],
)
def test_diagonals_that_do_not_fit_are_named(changed, message):
    family = plain()
    masses = diagonals(family)
    with pytest.raises(MergeError, match=message):
        merge("fisher", family.ends, fishers=[masses[0], {**masses[1], **changed}])


def test_a_preconditioner_is_positive():
    family = plain(2, (1,))
    merge("fisher", family.ends, fishers=[{"layer0": torch.zeros(1)}] * 2)
    with pytest.raises(MergeError, match="layer0: diagonal 1 of preconditioned must be finite and above 0"):
        merge("preconditioned", family.ends, preconditioners=[{"layer0": torch.zeros(1)}] * 2)
    with pytest.raises(MergeError, match="layer9: diagonal 1 of fisher names what the endpoints haven't got"):
        merge("fisher", family.ends, fishers=[{"layer9": torch.zeros(1)}] * 2)


@pytest.mark.parametrize("kind", ["task_arithmetic", "ties", "dare"])
def test_differences_need_a_base(kind):
    with pytest.raises(MergeError, match=f"{kind}: merges differences from a base, and got none"):
        merge(kind, plain().ends)


@pytest.mark.parametrize(("kind", "count"), [("slerp", 1), ("slerp", 3)])
def test_slerp_takes_two(kind, count):
    with pytest.raises(MergeError, match=f"slerp: takes two endpoints, got {count}"):
        merge(kind, plain(count).ends)


@pytest.mark.parametrize("kind", ["linear", "fisher", "preconditioned"])
def test_alpha_is_for_pairs(kind):
    family = plain(3)
    with pytest.raises(MergeError, match=r"alpha 0\.5 is for two endpoints, got 3; use weights"):
        merge(kind, family.ends, alpha=0.5, **needed(kind, family))


class TestDropping:
    """DARE's masks: right on average, and whose they are."""

    def mask(self, seed: int = 0, key: str = "a", drop: float = 0.3, size: int = 100_000) -> np.ndarray:
        base, end = {"layer": torch.zeros(size)}, {"layer": torch.ones(size)}
        merged = merge("dare", [end], base, drop=drop, seed=seed, keys=[key], alpha=1.0)["layer"]
        assert set(merged.unique().tolist()) == {0.0, torch.tensor(1 / (1 - drop)).item()}
        return merged.numpy() > 0

    def test_drops_its_share(self):
        for drop in (0.1, 0.5, 0.9):
            kept = self.mask(drop=drop).mean()
            assert abs(kept - (1 - drop)) < 5 * (drop * (1 - drop) / 100_000) ** 0.5

    def test_is_drawn_anew_for_every_seed_endpoint_and_tensor(self):
        one = self.mask()
        assert (one == self.mask()).all()
        for other in (self.mask(seed=1), self.mask(key="b")):
            assert abs((one == other).mean() - 0.58) < 0.01, "independent masks agree by chance"
        state = {name: torch.ones(1000) for name in ("one", "two")}
        merged = merge("dare", [state], {name: torch.zeros(1000) for name in state})
        assert not torch.equal(merged["one"], merged["two"])

    def test_keeps_the_mean(self):
        family = plain(1, (4,))
        merges = [merge("dare", family.ends, family.base, seed=seed, alpha=1.0) for seed in range(2000)]
        mean = torch.stack([each["layer0"] for each in merges]).mean(0)
        spread = (family.ends[0]["layer0"] - family.base["layer0"]).abs() / 2000**0.5
        assert ((mean - family.ends[0]["layer0"]).abs() < 5 * spread).all()
