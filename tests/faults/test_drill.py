"""Drills: a sweep that is disturbed ends like one that isn't, and loses nothing on the way."""

import random

import pytest

from tests.faults.drill import FAULTS, Scene, Sweep, drill, undisturbed
from tests.faults.nodes import namespaces_work, nodes

SHORT = ("driver killed", "raylet suspended")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("trials", "faults", "suspended_seconds"),
    [
        pytest.param(8, SHORT, (1.0, 3.0), id="short"),
        pytest.param(12, tuple(reversed(FAULTS)), (5.0, 45.0), id="every fault", marks=pytest.mark.slow),
    ],
)
def test_a_disturbed_sweep_equals_the_undisturbed_one(tmp_path, trials, faults, suspended_seconds):
    possible = [name for name in faults if name != "link cut" or namespaces_work()]
    with nodes(2) as (head, hosts):
        calm = undisturbed(tmp_path / "calm", trials, head)
        sweep = Sweep(tmp_path / "disturbed", trials, head)
        scene = Scene(sweep, head, hosts, random.Random(0), suspended_seconds)
        result = drill(0, scene, possible, calm)
    assert result.passed, result
    assert result.trials == trials
    assert result.drivers == 2, "the killed driver was followed by another"
