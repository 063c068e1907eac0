import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.measuring.measures.accuracy import normalised
from sweeper.measuring.measures.barrier import barrier_of

LOSSES = st.floats(-10, 10)


@given(st.dictionaries(st.floats(0, 1), LOSSES, max_size=6), LOSSES, LOSSES)
def test_it_is_the_highest_rise_above_line_and_mean(path, first, last):
    found = barrier_of(list(path), list(path.values()), first, last)
    rises = [loss - (first + alpha * (last - first)) for alpha, loss in path.items()]
    assert found.above_line == pytest.approx(max([0.0, *rises]), abs=1e-12)
    assert found.above_mean == pytest.approx(max([first, last, *path.values()]) - (first + last) / 2)
    reversed_path = barrier_of([1 - alpha for alpha in path], list(path.values()), last, first)
    assert reversed_path == pytest.approx(found, abs=1e-9)


def test_a_valley_has_no_barrier_and_ends_of_unequal_height_have_one_above_their_mean():
    assert barrier_of([0.5], [0.2], 1.0, 1.0) == (0.0, 0.0)
    assert barrier_of([0.5], [0.2], 1.0, 3.0) == (0.0, 1.0)
    assert barrier_of([0.5], [5.0], 1.0, 3.0) == (3.0, 3.0)


def test_normalised_accuracy_is_the_mean_of_ratios():
    assert normalised([80.0, 45.0], [80.0, 90.0]) == pytest.approx((1 + 0.5) / 2)
    assert normalised([50.0] * 3, [50.0] * 3) == 1.0
    assert math.isnan(normalised([50.0, 0.0], [50.0, 0.0]))
