"""What a recipe's `measures/also` gives, from real endpoints to the tables of a run."""

import itertools
import json
import math

import pandas as pd
import pytest
import torch
from tiny import DIVERGING, NO_NORM, RESNET, epochs, fresh_store, lineage, rows, tiny

from analysis.collapse import effective_noise
from analysis.reading import MEASUREMENT_COLUMNS
from analysis.records import Measurement, Stage
from sweeper.data import derive_seed
from sweeper.measuring import MEASURES, recalibrate
from sweeper.measuring.measures.barrier import barrier_of
from sweeper.measuring.measures.cka import linear_cka, penultimate
from sweeper.measuring.measures.curvature import top_eigenvalues
from sweeper.measuring.measures.distance import distance_of
from sweeper.measuring.measures.gradient_noise import per_example
from sweeper.trial import run_trial

ALL = {
    "measures": {
        "also": list(MEASURES), "batchnorm": "averaged", "splits": ["test"], "eigenvalues": 3,
        "curvature_examples": 40, "noise_examples": 64, "cka_examples": 100, "plane_points": 2,
    },
    "merges": [{"kind": "linear", "alphas": [0.25, 0.5, 0.75]}],
    "trunk/epochs": 1,
}  # fmt: skip


def stages_of(path, *overrides: dict[str, object]) -> list[Stage]:
    settings = {name: value for given in overrides for name, value in given.items()}
    return list(run_trial(tiny(settings), fresh_store(path)))


def measured(stages: list[Stage], name: str) -> list[tuple[Measurement, dict[str, object]]]:
    return [(m, json.loads(m.settings)) for stage in stages for m in stage.measurements if m.name == name]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return stages_of(tmp_path_factory.mktemp("all"), ALL)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The lineage of the same trial, trained again, its branch point and its two endpoints."""
    config = tiny(ALL)
    grown = lineage(config, fresh_store(tmp_path_factory.mktemp("again")))
    return grown, grown.start(6), *(grown.endpoint(6, seed) for seed in (0, 1))


def test_every_measure_says_something_of_its_networks(stages, networks):
    _, start, a, b = networks
    pair, corners = f"{a.key}+{b.key}", f"{start.key}+{a.key}+{b.key}"
    subjects = {m.name: m.subject for stage in stages for m in stage.measurements}
    assert subjects == {
        **dict.fromkeys(
            ("barrier", "barrier_above_mean", "cka", "cka_debiased", "normalised_accuracy"), pair
        ),
        **dict.fromkeys(("distance", "cosine", "sign_agreement"), pair),
        **dict.fromkeys(("trace_sigma", "gradient_norm_squared", "simple_noise_scale"), start.key),
        "effective_noise_scale": start.key,
        "hessian_eigenvalue": b.key,
        "plane": corners,
    }
    [stage] = stages
    points = [(m.subject, m.name, m.index, m.settings) for m in stage.measurements]
    assert len(set(points)) == len(points), "no two numbers go by one description"


def test_numbers_are_those_of_the_functions(stages, networks):
    grown, start, a, b = networks
    task, network = grown.task, grown.network
    network.load_state_dict(start.state)
    [(trace, settings)] = measured(stages, "trace_sigma")
    assert settings == {
        "augment": "shift",
        "batchnorm": "averaged",
        "estimator": "per_example",
        "examples": 64,
    }
    [(full, _)] = measured(stages, "effective_noise_scale")
    assert full.value == pytest.approx(0.0625 * trace.value)
    names = [name for name, _ in network.named_parameters()]
    expected = distance_of(a.state, b.state, start.state, names)
    for name, value in expected._asdict().items():
        assert [m.value for m, _ in measured(stages, name)] == [value]
    for end in (a, b):
        values = [m.value for m, _ in measured(stages, "hessian_eigenvalue") if m.subject == end.key]
        assert values == sorted(values, reverse=True)
        assert len(values) == 3
    # All 96 examples, without augmentation: another trace, of the same order.
    raw, targets = task.train
    assert trace.value == pytest.approx(per_example(network, task.batch(raw), targets).trace, rel=0.5)


def test_barriers_are_those_of_the_records(stages):
    found = {settings["metric"]: m.value for m, settings in measured(stages, "barrier")}
    means = {settings["metric"]: m.value for m, settings in measured(stages, "barrier_above_mean")}
    for metric, sign in (("loss", 1), ("accuracy", -1)):
        path = [record for record in rows(stages) if record.metric == metric]
        assert [record.alpha for record in path] == [0.25, 0.5, 0.75]
        expected = barrier_of(
            [record.alpha for record in path],
            [sign * record.f_merged for record in path],
            sign * path[0].f_a,
            sign * path[0].f_b,
        )
        assert (found[metric], means[metric]) == pytest.approx(expected)
        assert expected.above_mean > 0


def test_normalised_accuracies_are_those_of_the_records(stages):
    merged = {r.alpha: r for r in rows(stages) if r.metric == "accuracy"}
    values = {settings["alpha"]: m.value for m, settings in measured(stages, "normalised_accuracy")}
    assert values.keys() == merged.keys()
    for alpha, record in merged.items():
        expected = (record.f_merged / record.f_a + record.f_merged / record.f_b) / 2
        assert values[alpha] == pytest.approx(expected)


def test_the_corners_of_a_plane_are_the_networks_themselves(tmp_path, networks):
    """Recalibrated like the records of the endpoints, and equal to them bit for bit."""
    stages = stages_of(tmp_path, ALL, {"measures/also": ["plane"], "measures/batchnorm": "recalibrated"})
    ends = {record.metric: (record.f_a, record.f_b) for record in rows(stages)}
    points = measured(stages, "plane")
    for metric, (f_a, f_b) in ends.items():
        at = {
            tuple(settings["weights"]): (m.value, settings["x"], settings["y"])
            for m, settings in points
            if settings["metric"] == metric
        }
        assert 4 * 4 <= len(at) <= 5 * 4
        assert at[0, 1, 0][0] == f_a
        assert at[0, 0, 1][0] == f_b
        assert at[1, 0, 0][1:] == (0, 0)
        apart = math.dist(at[0, 1, 0][1:], at[0, 0, 1][1:])
        _, _, a, b = networks
        names = [name for name, _ in networks[0].network.named_parameters()]
        flat = math.sqrt(sum(float((a.state[n] - b.state[n]).double().square().sum()) for n in names))
        assert apart == pytest.approx(flat, rel=1e-5)


def test_the_batch_norm_policy_is_that_of_the_recipe(tmp_path, networks):
    grown, _, a, b = networks
    settings = {"measures/also": ["cka", "curvature"], "measures/batchnorm": "recalibrated"}
    stages = stages_of(tmp_path, ALL, {**settings, "measures/cka_examples": 5000})
    network, task = grown.network, grown.task
    seed = derive_seed("recalibrate", 0)
    found = []
    for end in (a, b):
        network.load_state_dict(end.state)
        recalibrate(network, task, "shift", seed)
        found.append(penultimate(network, task.batch(task.test.inputs)))
    [(cka, described)] = measured(stages, "cka")
    assert described == {"batchnorm": "recalibrated", "examples": len(task.test.targets), "split": "test"}
    assert cka.value == pytest.approx(linear_cka(*found).plain, rel=1e-5)
    raw, targets = task.train
    whole = top_eigenvalues(network, task.batch(raw, torch.float64), targets, 1)
    top = [m.value for m, _ in measured(stages, "hessian_eigenvalue") if m.subject == b.key and m.index == 0]
    assert top[0] == pytest.approx(whole[0], rel=0.7), "40 of 96 examples say about the same"


@pytest.mark.parametrize("model", [NO_NORM, RESNET], ids=["no norm", "resnet8"])
def test_any_network_is_measured(model, tmp_path):
    also = ["barrier", "cka", "distance", "gradient_noise", "normalised_accuracy"]
    stages = stages_of(tmp_path, ALL, model, {"measures/also": also, "measures/noise_estimator": "two_batch"})
    values = {m.name: m.value for stage in stages for m in stage.measurements}
    assert len(values) == 12
    assert all(value is not None for name, value in values.items() if name != "simple_noise_scale")
    [(_, settings)] = measured(stages, "trace_sigma")
    assert settings["examples"] == 4 * 16


def test_adamw_has_no_effective_noise_scale(tmp_path):
    adamw = {"train/optimizer": "adamw", "train/lr": 1e-3, "measures/also": ["gradient_noise"]}
    names = {m.name for stage in stages_of(tmp_path, ALL, adamw) for m in stage.measurements}
    assert names == {"trace_sigma", "gradient_norm_squared", "simple_noise_scale"}


def test_what_diverged_is_not_measured(tmp_path):
    [stage] = stages_of(tmp_path, ALL, DIVERGING)
    assert {m.name for m in stage.measurements} == {"barrier", "barrier_above_mean", "normalised_accuracy"}
    assert {m.value for m in stage.measurements} == {None}


def test_measuring_trains_nothing_and_leaves_the_records_alone(tmp_path):
    store = fresh_store(tmp_path)
    plain = tiny(
        {name: value for name, value in ALL.items() if name != "measures"}, measures={"splits": ["test"]}
    )
    before = list(run_trial(plain, store))
    settings = {**ALL, "measures/batchnorm": ["recalibrated", "averaged"]}
    after = list(run_trial(tiny(settings), store))
    assert epochs(after) == 0
    assert rows(after) == rows(before)
    again = list(run_trial(tiny(settings), store))
    assert [stage.measurements for stage in again] == [stage.measurements for stage in after]


def test_the_measured_noise_of_a_trial_is_the_mean_of_its_branch_points(tmp_path):
    stages = stages_of(tmp_path, ALL, {"trunk/epochs": 2, "measures/also": ["gradient_noise"]})
    table = pd.DataFrame([m.model_dump() for stage in stages for m in stage.measurements])
    assert list(table.columns) == MEASUREMENT_COLUMNS
    values = [m.value for m, _ in measured(stages, "effective_noise_scale")]
    assert len(values) == 2
    assert effective_noise(table).to_dict() == {"trial": pytest.approx(sum(values) / 2)}
    assert effective_noise(table.iloc[:0]).empty


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measures": {"also": ["barrier"]}, "merges": [{"kind": "ties"}]}, "barrier needs a path"),
        ({"measures": {"also": ["normalised_accuracy"], "metrics": ["loss"]}}, "add it"),
    ],
)
def test_what_nothing_could_be_measured_of_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny(settings)


@pytest.mark.slow
def test_compiled_networks_are_measured_like_others(tmp_path):
    plain, compiled = (
        stages_of(tmp_path / name, ALL, {"train/compile": on})
        for name, on in (("plain", False), ("on", True))
    )
    for one, other in zip(
        *(itertools.chain(*[s.measurements for s in part]) for part in (plain, compiled)), strict=True
    ):
        assert one.name == other.name
        assert other.value == pytest.approx(one.value, rel=0.05, abs=1e-3)
