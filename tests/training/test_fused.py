"""Replicas trained at once are the replicas trained one by one."""

import dataclasses
import itertools

import pytest
import torch
from tiny import NO_NORM, RESNET, fresh_store, lineage, same_bits, tiny
from torch import nn

from search_spaces.base import arguments
from search_spaces.config import TrainConfig, TrialConfig
from search_spaces.resources import Retention
from sweeper.models import build_model
from sweeper.training import CannotFuse, Course, Diverged, Fused, Lineage, Separate, state_of
from sweeper.trial import load_task, run_trial

END = 20
ADAMW = {"train/optimizer": "adamw", "train/lr": 0.01}


def network_of(config: TrialConfig, seed: int = 0) -> nn.Module:
    dtype = torch.float64 if config.train.precision == "float64" else torch.float32
    return build_model(config.model.name, arguments(config.model), load_task(config.task), seed, dtype)


def courses_of(config: TrialConfig) -> list[Course]:
    """Three networks that share nothing but their architecture and batch size."""
    changes = [{}, {"momentum": 0.5, "betas": (0.5, 0.9)}, {"weight_decay": 0.05, "momentum": 0.0}]
    settings = [TrainConfig(**{**config.train.model_dump(), **change}) for change in changes]
    schedules = [lambda step: 0.05, lambda step: 0.1 * (1 - step / 40), lambda step: 0.02 + 0.001 * step]
    return [
        Course(state_of(network_of(config, seed)), 10 + seed, schedule, train)
        for seed, (schedule, train) in enumerate(zip(schedules, settings, strict=True))
    ]


def trained(config: TrialConfig, kind: type[Separate], courses: list[Course], *cuts: int) -> list[dict]:
    """Train from step 0 to END, going on from each cut's states."""
    states = [course.state for course in courses]
    for start, stop in itertools.pairwise([0, *cuts, END]):
        here = [dataclasses.replace(c, state=state) for c, state in zip(courses, states, strict=True)]
        states = kind(network_of(config), load_task(config.task)).train(here, start, stop)
    return states


@pytest.mark.parametrize(
    "settings",
    # Before batch norm the gradient of a bias is rounding noise, which AdamW would scale up to the lr.
    [{}, {"train/augment": "none"}, NO_NORM, {**NO_NORM, **ADAMW}, RESNET],
    ids=["norm", "plain", "none", "adamw", "resnet8"],
)
def test_each_with_its_own_settings_as_if_alone(settings):
    config = tiny({**settings, "train/precision": "float64"})
    courses = courses_of(config)
    expected, fused = (trained(config, kind, courses) for kind in (Separate, Fused))
    for one, other, course in zip(expected, fused, courses, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=1e-12, atol=1e-12)
            assert name not in course.state or not torch.equal(one[name], course.state[name])


def test_fused_training_in_parts_is_fused_training_in_full():
    courses = courses_of(tiny())
    whole, parts = trained(tiny(), Fused, courses), trained(tiny(), Fused, courses, 5, 11)
    assert all(same_bits(one, other) for one, other in zip(whole, parts, strict=True))


@pytest.mark.parametrize("settings", [{}, NO_NORM], ids=["batch norm", "none"])
def test_one_that_diverges_leaves_the_others_bits_alone(settings):
    config = tiny(settings)
    courses = courses_of(config)
    poisoned = [dataclasses.replace(courses[0], schedule=lambda step: 1e30), *courses[1:]]
    before, after = (trained(config, Fused, each) for each in (courses, poisoned))
    assert isinstance(after[0], Diverged)
    assert after[0].step == trained(config, Separate, poisoned)[0].step == END
    assert all(same_bits(one, other) for one, other in zip(before[1:], after[1:], strict=True))


def test_divergence_is_noticed_when_it_would_be_alone():
    config = tiny(NO_NORM)
    courses = [dataclasses.replace(course, schedule=lambda step: 1e30) for course in courses_of(config)]
    for kind in (Separate, Fused):
        ends = kind(network_of(config), load_task(config.task)).train(courses, 10, 200)
        assert [end.step for end in ends] == [51] * 3


class Chance(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))


class Wilful(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, inputs):
        return super().forward(inputs) if inputs.mean() > -9 else inputs


@pytest.mark.parametrize("network", [Chance(), Wilful()], ids=["dropout", "branching on values"])
def test_networks_that_vmap_cannot_train_say_why_in_one_line(network):
    courses = [dataclasses.replace(course, state=state_of(network)) for course in courses_of(tiny())]
    with pytest.raises(CannotFuse, match="replicas fused: vmap can't train this network: ") as refused:
        Fused(network, load_task(tiny().task)).train(courses, 0, 2)
    assert "\n" not in str(refused.value)


class TestLineage:
    @staticmethod
    def walk(part: Lineage) -> dict[str, float]:
        for step, seeds in itertools.product(part.branch_steps, part.groups):
            part.endpoints(step, seeds)
        return part.take_trained()

    def test_fused_branches_have_keys_of_their_own_and_the_trunk_is_shared(self, tmp_path):
        store, config = fresh_store(tmp_path), tiny({"branch/count": 3, "train/precision": "float64"})
        task = load_task(config.task)
        separate, fused = lineage(config, store), Lineage(config, task, store, trainer=Fused)
        assert self.walk(separate).keys() & self.walk(fused).keys() == set()
        assert fused.trunk_key(12) == separate.trunk_key(12)
        again = Lineage(config, task, store, trainer=Fused)
        assert self.walk(again) == {}, "what is stored is not trained again"
        for one, other in zip(fused.endpoints(12, range(3)), separate.endpoints(12, range(3)), strict=True):
            assert (one.key == other.key, one.seed) == (False, other.seed)
            for name, tensor in one.state.items():
                torch.testing.assert_close(tensor, other.state[name], rtol=1e-12, atol=1e-12)

    def test_what_is_kept_is_kept_of_each(self, tmp_path):
        store, config = fresh_store(tmp_path), tiny({"branch/decay_epochs": 3})
        part = Lineage(config, load_task(config.task), store, Retention(keep="all", last=2), trainer=Fused)
        assert sum(self.walk(part).values()) == pytest.approx(2 + 4 * 3)
        assert len(list(store.keys())) == 2 + 4 * 3

    def test_a_trial_measures_what_it_would_measure_separately(self, tmp_path):
        config = tiny({"train/precision": "float64", "trunk/epochs": 3})
        pairs = zip(
            run_trial(config, fresh_store(tmp_path, "a")),
            run_trial(config, fresh_store(tmp_path, "b"), trainer=Fused),
            strict=True,
        )
        for one, other in pairs:
            assert sum(one.trained.values()) == sum(other.trained.values())
            for row, fused in zip(one.records, other.records, strict=True):
                assert fused.f_merged == pytest.approx(row.f_merged, rel=1e-10)
