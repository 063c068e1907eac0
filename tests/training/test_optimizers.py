import itertools
import math

import numpy as np
import pytest
import reference
import torch
from tiny import tiny
from torch import Tensor, nn

from search_spaces.config import BranchConfig, TrainConfig
from sweeper.data import train_batches
from sweeper.models import build_model
from sweeper.training import branch_schedule, build_optimizer, train
from sweeper.training.optimizers import match_gradient_strides
from sweeper.trial import load_task

STEPS = 24


def example(norm: str = "batch") -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    task = load_task(tiny().task)
    network = build_model("mlp", {"widths": [8], "norm": norm}, task, seed=0, dtype=torch.float64)
    batches = train_batches(task, 16, "shift", seed=1, start_step=0, end_step=STEPS, dtype=torch.float64)
    return network, [(inputs.clone(), targets) for inputs, targets in batches]


@pytest.mark.parametrize(
    ("settings", "norm"),
    [
        ({"momentum": momentum, "weight_decay": weight_decay}, norm)
        for momentum, weight_decay, norm in itertools.product([0.0, 0.9], [0.0, 0.05], ["batch", "none"])
    ]
    # Before batch norm the gradient of a bias is rounding noise, which AdamW would scale up to the lr.
    + [
        ({"optimizer": "adamw", "weight_decay": 0.0}, "none"),
        ({"optimizer": "adamw", "betas": (0.8, 0.95), "weight_decay": 0.1}, "none"),
    ],
    ids=str,
)
def test_training_takes_the_steps_of_the_definition(settings, norm):
    config = TrainConfig(lr=0.02, **settings)
    network, batches = example(norm)
    schedule, _ = branch_schedule(config, BranchConfig(decay_steps=STEPS), 0, 6)

    def optimizer():
        if config.optimizer == "sgd":
            return reference.SGD(config.momentum, config.weight_decay)
        return reference.AdamW(config.betas, config.weight_decay)

    rates = [0.02 * (1 - math.sqrt(t / STEPS)) for t in range(STEPS)]
    expected = reference.trajectory(network, batches, rates, optimizer)
    train(network, build_optimizer(network.parameters(), config), batches, schedule, 0, seed=0)
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), expected[name], rtol=1e-12, atol=1e-12)


def transpose_gradients(network: nn.Module) -> None:
    """Lay out every gradient of a matrix by columns, as a transposed view is."""

    def transpose(parameter: Tensor) -> None:
        if parameter.ndim == 2:
            parameter.grad = parameter.grad.t().contiguous().t()

    for parameter in network.parameters():
        parameter.register_post_accumulate_grad_hook(transpose)


def test_gradients_of_another_layout_do_not_corrupt_weights():
    config = TrainConfig(lr=0.02)
    trained = []
    for transposed in (False, True):
        network, batches = example()
        if transposed:
            transpose_gradients(network)
        train(network, build_optimizer(network.parameters(), config), batches, lambda step: 0.02, 0, seed=0)
        trained.append(network.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_torch_itself_corrupts_them():
    """While this holds, `match_gradient_strides` is needed; once torch is mended, both can go."""
    network, [(inputs, targets), *_] = example()
    transpose_gradients(network)
    weight = network.get_parameter("linear1.weight")
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=True)
    for mended in (False, True):
        network.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        expected = weight.detach() - 0.1 * weight.grad
        if mended:
            match_gradient_strides([weight])
        optimizer.step()
        assert torch.allclose(weight, expected) == mended
