"""Coverage of the exponents over many grids: at least 90%, however imperfect the collapse."""

import grids
import pytest
from collapse_coverage import CASES, scores, verdicts

REPEATS = 40

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("case", CASES)
def test_exponents_are_covered(case):
    found = [scores(CASES[case], shape, REPEATS, baselines=False) for shape in grids.SHAPES]
    everything, trimmed, of_momentum, bias = (
        sum(row[column] for row in found) / len(found) for column in (0, 1, 4, 7)
    )
    assert everything >= 0.9
    assert trimmed >= 0.9
    assert abs(bias) < 0.1
    if "momentum" in case:
        assert of_momentum >= 0.9


def test_a_perfect_collapse_is_rarely_called_imperfect():
    found = verdicts(CASES["perfect"], "cliff_later", 20)
    assert found["imperfect"] <= 3
    assert found["holds"] >= 14
