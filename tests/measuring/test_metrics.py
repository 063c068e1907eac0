import numpy as np
import pytest
import reference
import torch
from tiny import tiny
from torch import nn

from sweeper.data import Task
from sweeper.measuring import Scores, chance_level, evaluate, gain, status
from sweeper.models import build_model
from sweeper.trial import load_task


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_accuracy_and_loss_are_those_of_the_definition(norm, split):
    task = load_task(tiny().task)
    network = build_model("mlp", {"widths": [8], "norm": norm}, task, seed=3)
    inputs, targets = task.split(split)
    with torch.no_grad():
        outputs = network.eval()(task.batch(inputs)).double().numpy()
    expected = reference.accuracy_and_loss(outputs, targets.numpy())
    network.train()
    scores = evaluate(network, task, split)
    assert (scores.accuracy, scores.loss) == pytest.approx(expected, rel=1e-6)
    assert evaluate(network, task, split) == scores, "evaluating changes nothing"


def test_more_examples_than_one_pass_takes():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.rand(2500, 3, generator=generator), torch.arange(2500) % 3
    task = Task(classes=3, train=(inputs, targets), test=(inputs, targets))
    network = nn.Linear(3, 3).double()
    with torch.no_grad():
        outputs = network(inputs.double()).numpy()
    scores = evaluate(network, task, "test")
    assert (scores.accuracy, scores.loss) == pytest.approx(
        reference.accuracy_and_loss(outputs, targets.numpy()), rel=1e-12
    )


def test_a_network_too_large_to_compute_with_has_no_scores():
    task = load_task(tiny().task)
    network = build_model("mlp", {"widths": [8], "norm": "none"}, task, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1e30)
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    assert evaluate(network, task, "test") is None


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_gain_is_larger_where_the_merge_is_better(metric):
    ends = [0.3, 0.5]
    mean = sum(ends) / 2
    assert gain(metric, 0.6, mean) == pytest.approx(reference.gain(metric, 0.6, ends))
    assert gain(metric, mean, mean) == 0
    better = {"accuracy": 0.41, "loss": 0.39}[metric]
    assert gain(metric, better, mean) > 0


@pytest.mark.parametrize(
    "counts",
    [[10] * 10, [60, 40], [1] * 7, [93, 4, 3], [50]],
    ids=["balanced", "two", "few", "skewed", "one class"],
)
def test_chance_is_the_majority_and_two_standard_errors(counts):
    targets = np.repeat(np.arange(len(counts)), counts)
    expected = reference.chance_level(targets.tolist())
    assert chance_level(torch.from_numpy(targets)) == pytest.approx(expected, rel=1e-12)


def test_guessing_is_rarely_taken_for_learning():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 10, 600)
    level = chance_level(torch.from_numpy(targets))
    guesses = [100 * float(np.mean(generator.integers(0, 10, 600) == targets)) for _ in range(500)]
    assert np.mean(np.array(guesses) > level) < 0.05


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([50.0, 60.0], "ok"),
        ([50.0, 10.0], "at_chance"),
        ([50.0, 12.0], "at_chance"),
        ([None, 50.0], "diverged"),
        ([10.0, None], "diverged"),
    ],
)
def test_a_pair_is_as_bad_as_its_worse_end(accuracies, expected):
    scores = [None if accuracy is None else Scores(accuracy, 1.0) for accuracy in accuracies]
    assert status(scores, chance=12.0) == expected
