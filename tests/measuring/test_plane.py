import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.measuring.measures.plane import plane_through
from sweeper.merging import StateDict, linear

NAMES = ["weight", "bias"]
CORNERS = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def network(seed: int, dtype: torch.dtype = torch.float64) -> StateDict:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"weight": (3, 2), "bias": (2,), "running_mean": (2,)}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in shapes.items()
    }


def flat(state: StateDict) -> torch.Tensor:
    return torch.cat([state[name].double().flatten() for name in NAMES])


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 10**6), min_size=3, max_size=3, unique=True),
    st.integers(2, 30),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_the_three_anchors_are_on_the_grid_exactly(seeds, points, dtype):
    anchors = [network(seed, dtype) for seed in seeds]
    plane = plane_through(anchors, NAMES)
    xs, ys = plane.axes(points)
    assert xs == sorted(set(xs))
    assert points <= len(xs) <= points + 3
    assert points <= len(ys) <= points + 2
    found = {plane.weights(x, y): (x, y) for x, y in itertools.product(xs, ys)}
    assert [found[corner] for corner in CORNERS] == [
        (0.0, 0.0),
        (plane.foot, plane.height),
        (plane.length, 0.0),
    ]
    for corner, anchor in zip(CORNERS, anchors, strict=True):
        reached = linear(anchors, weights=corner)
        assert all(torch.equal(reached[name], anchor[name]) for name in anchor)
    for low, high, axis in ((0, plane.length, xs), (0, plane.height, ys)):
        assert axis[0] < low
        assert axis[-1] > high


def test_distances_on_the_page_are_distances_between_networks():
    anchors = [network(seed) for seed in (1, 2, 3)]
    plane = plane_through(anchors, NAMES)
    places = [(-0.3, 2.0), (1.7, 0.4), (5.0, -1.0)]
    reached = [flat(linear(anchors, weights=plane.weights(*place))) for place in places]
    for i, j in itertools.combinations(range(3), 2):
        assert float((reached[i] - reached[j]).norm()) == pytest.approx(math.dist(places[i], places[j]))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, -2.0])
def test_three_networks_on_a_line_have_no_plane(share):
    one, other = network(1), network(2)
    between = linear([one, other], alpha=share)
    for anchors in itertools.permutations([one, between, other]):
        assert plane_through(anchors, NAMES) is None
    assert plane_through([one, one, one], NAMES) is None
