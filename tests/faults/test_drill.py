"""One drill with everything: a node killed, a raylet suspended, the driver killed, and a link cut where it can be."""

import random

import pytest

from tests.faults.drill import FAULTS, Scene, Sweep, drill, undisturbed
from tests.faults.nodes import namespaces_work, nodes


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_disturbed_in_every_way_equals_the_undisturbed_one(tmp_path):
    faults = [name for name in FAULTS if name != "link cut" or namespaces_work()]
    with nodes(2) as (head, hosts):
        calm, seconds = undisturbed(tmp_path / "calm", 12, head)
        scene = Scene(Sweep(tmp_path / "disturbed", 12, head), head, hosts, random.Random(0))
        result = drill(0, scene, faults, calm, seconds / 2)
    assert result.passed, result
    assert result.trials == 12
