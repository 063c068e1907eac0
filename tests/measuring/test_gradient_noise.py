import math

import numpy as np
import pytest
import reference
import torch
from networks import TASK, examples, network_of
from torch import nn

from sweeper.data import train_batches
from sweeper.measuring.measures.gradient_noise import batch_noise, per_example, two_batch


@pytest.mark.parametrize("settings", [{}, {"norm": "none"}], ids=["batch norm", "none"])
@pytest.mark.parametrize("count", [2, 40])
def test_the_trace_is_that_of_the_covariance_of_single_examples(settings, count):
    network, (inputs, targets) = network_of(**settings), examples(count)
    covariance = reference.gradient_covariance(network, inputs, targets)
    mean = reference.gradient(network, inputs, targets)
    found = per_example(network.train(), inputs, targets)
    assert found.trace == pytest.approx(np.trace(covariance), rel=1e-10)
    assert found.squared == pytest.approx(mean @ mean - np.trace(covariance) / count, rel=1e-8)
    assert found.simple_scale == pytest.approx(found.trace / found.squared) or found.squared <= 0


def test_convolutions_too():
    network, (inputs, targets) = network_of("resnet8"), examples(5)
    covariance = reference.gradient_covariance(network, inputs, targets)
    assert per_example(network, inputs, targets).trace == pytest.approx(np.trace(covariance), rel=1e-10)


def test_equal_examples_make_no_noise():
    network, (inputs, targets) = network_of(), examples(1)
    found = per_example(network, inputs.repeat(50, 1, 1, 1), targets.repeat(50))
    assert found.trace == pytest.approx(0.0, abs=1e-20)
    assert found.simple_scale == pytest.approx(0.0, abs=1e-20)


def test_what_cannot_be_told_from_zero_has_no_ratio():
    network = nn.Linear(3, 2).double()
    with torch.no_grad():
        network.weight.zero_()
        network.bias.zero_()
    found = per_example(network, torch.ones(2, 3).double(), torch.tensor([0, 1]))
    assert found.squared < 0 < found.trace
    assert math.isnan(found.simple_scale)


def test_one_example_is_refused():
    with pytest.raises(ValueError, match="takes two examples, got 1"):
        per_example(network_of(), *examples(1))
    with pytest.raises(ValueError, match="takes two batches, got 1"):
        batch_noise(network_of(), [examples(8)], seed=0)


def test_frozen_parameters_make_no_noise():
    network, (inputs, targets) = network_of(norm="none"), examples(10)
    whole = per_example(network, inputs, targets).trace
    network.linear1.requires_grad_(False)
    head = nn.Sequential(network.classifier)
    with torch.no_grad():
        hidden = network[:-1](inputs)
    assert per_example(network, inputs, targets).trace == pytest.approx(
        np.trace(reference.gradient_covariance(head, hidden, targets)), rel=1e-10
    )
    assert per_example(network, inputs, targets).trace < whole


@pytest.mark.parametrize("settings", [{}, {"norm": "none"}], ids=["batch norm", "none"])
def test_two_batches_give_the_variance_of_training_gradients(settings):
    """In training mode, with the statistics of each batch; B times the variance of gradients estimates tr Σ."""
    network, (inputs, targets) = network_of(**settings), examples(96)
    batches = list(zip(inputs.split(16), targets.split(16), strict=True))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = batch_noise(network, batches, seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    gradients = np.stack([reference.gradient(network.train(), *batch) for batch in batches])
    assert found.trace == pytest.approx(16 * gradients.var(0, ddof=1).sum(), rel=1e-9)
    mean = gradients.mean(0)
    assert found.squared == pytest.approx(mean @ mean - found.trace / 96, rel=1e-8)


def test_two_batches_agree_in_the_mean_with_single_examples():
    """Over shuffles of all examples the estimate is unbiased, of tr Σ and of |G|²."""
    network = network_of(norm="none")
    exact = per_example(network, *examples())
    draws = [
        batch_noise(network, train_batches(TASK, 16, "none", seed, 0, 2, dtype=torch.float64), seed)
        for seed in range(300)
    ]
    for name in ("trace", "squared"):
        values = np.array([getattr(draw, name) for draw in draws])
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert abs(values.mean() - getattr(exact, name)) < 4 * error
        assert error < 0.1 * abs(getattr(exact, name))


def test_the_formula_inverts_what_batches_are_expected_to_measure():
    trace, squared = 7.0, 0.3
    found = two_batch(squared + trace / 8, squared + trace / 64, 8, 64)
    assert (found.trace, found.squared) == pytest.approx((trace, squared))
    assert found.simple_scale == pytest.approx(trace / squared)


def test_dropout_is_drawn_from_the_seed_alone():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)).double()
    batches = [examples(48), examples(48)]
    before = torch.get_rng_state()
    found = [batch_noise(network, batches, seed).trace for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert torch.equal(torch.get_rng_state(), before)
