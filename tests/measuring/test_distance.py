import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sweeper.measuring.measures.distance import distance_of

ENTRIES = st.lists(
    st.tuples(*[st.sampled_from([-3.0, -0.5, 0.0, 0.25, 2.0])] * 3), min_size=1, max_size=9
).map(np.array)


def state(values: np.ndarray) -> dict[str, torch.Tensor]:
    """The values in two tensors, and a buffer that must not count."""
    first, rest = torch.tensor(values[0], dtype=torch.float32), torch.tensor(values[1:], dtype=torch.float32)
    return {"scale": first, "weight": rest[None], "running_mean": torch.rand(3)}


@given(ENTRIES)
def test_it_is_that_of_the_flat_vectors(entries):
    start, a, b = entries.T
    found = distance_of(state(a), state(b), state(start), ["scale", "weight"])
    one, other = a - start, b - start
    assert found.distance == pytest.approx(math.dist(a, b))
    if one.any() and other.any():
        assert found.cosine == pytest.approx(one @ other / (math.hypot(*one) * math.hypot(*other)))
    else:
        assert math.isnan(found.cosine)
    votes = [np.sign(x) == np.sign(y) for x, y in zip(one, other, strict=True) if x and y]
    assert (
        found.sign_agreement == pytest.approx(np.mean(votes)) if votes else math.isnan(found.sign_agreement)
    )


def test_the_same_and_the_opposite_direction():
    start, a = state(np.zeros(4)), state(np.array([1.0, -2.0, 0.0, 3.0]))
    away = {name: -tensor for name, tensor in a.items()}
    names = ["scale", "weight"]
    assert distance_of(a, a, start, names) == pytest.approx((0.0, 1.0, 1.0))
    assert distance_of(a, away, start, names) == pytest.approx((2 * math.sqrt(14), -1.0, 0.0))
