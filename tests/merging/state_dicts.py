"""State dicts to merge: drawn by hypothesis, and helpers to compare them."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from sweeper.merging import StateDict

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
SHAPES = st.lists(
    st.one_of(
        st.sampled_from([(), (1,), (1, 1), (7, 1), (3, 2, 1, 2)]),
        st.lists(st.integers(1, 5), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=3,
)
WEIGHT = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0]), st.floats(-3, 3).map(lambda w: round(w, 3)))


@dataclass(frozen=True)
class Family:
    """A base and its endpoints."""

    base: StateDict
    ends: list[StateDict]

    @property
    def floats(self) -> list[str]:
        return [name for name, tensor in self.base.items() if tensor.is_floating_point()]

    @property
    def exact(self) -> bool:
        return self.base["layer0"].dtype == torch.float64

    def tensors(self, name: str) -> list[Tensor]:
        return [end[name] for end in self.ends]


@st.composite
def families(draw: st.DrawFn, least: int = 1, most: int = 8, dtypes: list[torch.dtype] = DTYPES) -> Family:
    """Networks of up to three tensors and a counter of batches, whose task vectors are of all kinds.

    Those on a grid of quarters agree, cancel and equal each other exactly, in every type.
    """
    shapes, count, dtype = draw(SHAPES), draw(st.integers(least, most)), draw(st.sampled_from(dtypes))
    kind = draw(st.sampled_from(["normal", "grid", "zero", "opposite"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))

    def state(index: int, base: StateDict | None = None, first: StateDict | None = None) -> StateDict:
        made: StateDict = {}
        for number, shape in enumerate(shapes):
            name = f"layer{number}"
            values = random.integers(-4, 5, shape) / 4 if kind != "normal" else random.normal(size=shape)
            made[name] = torch.as_tensor(values, dtype=torch.float64).to(dtype)
            if base is not None and kind == "zero":
                made[name] = base[name].clone()
            if base is not None and first is not None and kind == "opposite" and index % 2:
                made[name] = 2 * base[name] - first[name]
        return {**made, "batches": torch.tensor(10 + index)}

    base = state(-1)
    ends = [state(0, base)]
    ends += [state(index, base, ends[0]) for index in range(1, count)]
    return Family(base, ends)


def diagonals(family: Family, least: float = 0.0) -> list[StateDict]:
    """A positive number per parameter and endpoint, of very different sizes; of at least `least`."""
    random = np.random.default_rng(7)
    return [
        {
            name: torch.as_tensor(least + np.exp(random.normal(0, 3, tuple(family.base[name].shape))))
            for name in family.floats
        }
        for _ in family.ends
    ]


def copies(states: list[StateDict]) -> list[StateDict]:
    return [{name: tensor.clone() for name, tensor in state.items()} for state in states]


def equal(one: StateDict, other: StateDict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_exact(value: Tensor, exact: np.ndarray, scale: float = 1.0) -> None:
    """`value` is `exact` to 10⁻¹² in float64, else `exact` rounded to its type or a neighbour of that in the type."""
    expected = torch.from_numpy(np.asarray(exact, dtype=np.float64))
    assert value.shape == expected.shape
    if value.dtype == torch.float64:
        np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12 * scale)
        return
    rounded = expected.to(value.dtype)
    ends = (torch.full_like(rounded, end) for end in (-torch.inf, torch.inf))
    below, above = (torch.nextafter(rounded, end) for end in ends)
    # Where terms cancel, what is left is no more exact than they were in float64.
    slack = 1e-12 * scale * (rounded.abs() < 1e-9)
    assert ((below - slack <= value) & (value <= above + slack)).all(), (value, expected)
