"""The planner that chooses between separate and fused replicas."""

import pytest
from tiny import tiny

from sweeper.training import Course, Fused, replicas, state_of
from sweeper.training.replicas import TRAINERS, faster, speed_identity
from sweeper.trial import load_task
from tests.training.test_fused import Chance


@pytest.mark.parametrize("best", TRAINERS)
def test_it_chooses_what_took_less_time(best, monkeypatch):
    """A second clock: each way takes as long as it is told to."""
    ticks = {"now": 0.0}

    def trainer_of(name):
        class Clocked(TRAINERS[name]):
            def train(self, courses, start, stop):
                ticks["now"] += (stop - start) * (0.01 if name == best else 0.02)
                return super().train(courses, start, stop)

        return Clocked

    monkeypatch.setattr(replicas, "TRAINERS", {name: trainer_of(name) for name in TRAINERS})
    monkeypatch.setattr(replicas.time, "process_time", lambda: ticks["now"])
    config = tiny()
    choice = faster(config, load_task(config.task))
    assert choice.replicas == best
    assert choice.seconds == pytest.approx({name: 0.01 if name == best else 0.02 for name in TRAINERS})


def test_a_network_that_cannot_be_fused_is_trained_separately(monkeypatch):
    monkeypatch.setattr(replicas, "build_model", lambda *settings: Chance())
    choice = faster(tiny(), load_task(tiny().task))
    assert choice.replicas == "separate"
    assert "vmap can't train this network" in choice.reason


def test_choices_are_shared_by_trials_of_equal_speed():
    one = speed_identity(tiny())
    assert speed_identity(tiny({"train/lr": 0.3, "train/momentum": 0.1, "seed": 4, "trunk/epochs": 9})) == one
    for change in ({"train/batch_size": 8}, {"model/widths": [9]}, {"branch/count": 3}):
        assert speed_identity(tiny(change)) != one


def test_timing_leaves_nothing_behind():
    config, task = tiny(), load_task(tiny().task)
    choice = faster(config, task)
    assert choice.replicas == min(choice.seconds, key=choice.seconds.get)
    network = replicas.build_model("mlp", {"widths": [8]}, task, 0)
    course = Course(state_of(network), 0, lambda step: 0.1, config.train)
    assert all(isinstance(end, dict) for end in Fused(network, task).train([course, course], 0, 3))
