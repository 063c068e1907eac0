"""Merges as optimizer steps: the statements of "Model merging and the geometry of optimization"."""

import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sweeper.merging import StateDict, merge

P = [{"layer": torch.tensor([1.0, 10.0]).double()}, {"layer": torch.tensor([10.0, 1.0]).double()}]


def vector(*values: float) -> StateDict:
    return {"layer": torch.tensor(values).double()}


@pytest.mark.parametrize(
    ("kind", "given_settings", "jacobian"),
    [
        ("linear", {}, (0.5, 0.5)),
        ("slerp", {}, (0.5, 0.5)),
        # (P₁⁻¹ + P₂⁻¹)⁻¹ P₂⁻¹, with P₁⁻¹ = (1, .1) and P₂⁻¹ = (.1, 1).
        ("preconditioned", {"preconditioners": P}, (0.1 / 1.1, 1.0 / 1.1)),
    ],
)
def test_smooth_merges_recover_a_gradient_step(kind, given_settings, jacobian):
    theta, gradient = torch.tensor([3.0, -2.0]).double(), torch.tensor([0.7, 1.3]).double()
    errors = []
    for lr in (1e-1, 1e-2, 1e-3, 1e-4):
        ends = [{"layer": theta}, {"layer": theta - lr * gradient}]
        step = (merge(kind, ends, **given_settings)["layer"] - theta) / lr
        errors.append(float((step + torch.tensor(jacobian, dtype=torch.float64) * gradient).abs().max()))
    assert errors[-1] < 1e-4
    assert all(later <= max(earlier, 1e-9) for earlier, later in itertools.pairwise(errors))


def test_ties_of_one_task_is_top_k_gradient_descent():
    random = torch.Generator().manual_seed(0)
    theta, gradient = torch.randn(2, 40, generator=random, dtype=torch.float64)
    lr, density = 0.1, 0.2
    merged = merge("ties", [{"layer": theta - lr * gradient}], {"layer": theta}, density=density)["layer"]
    top = gradient.abs().topk(8).indices
    expected = theta.clone()
    expected[top] -= lr * gradient[top]
    torch.testing.assert_close(merged, expected, rtol=1e-12, atol=1e-12)


def test_a_linear_merge_is_a_partial_step_from_the_average_of_earlier_iterates():
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    alpha, rates = 0.3, (0.1, 0.25)
    before, ends, gradients = [], [], []
    for seed, lr in enumerate(rates):
        network, random = copy.deepcopy(start), torch.Generator().manual_seed(seed)
        optimizer = torch.optim.SGD(network.parameters(), lr)
        for _ in range(5):
            inputs = torch.randn(8, 3, generator=random, dtype=torch.float64)
            targets = torch.randint(2, (8,), generator=random)
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), targets).backward()
            earlier = copy.deepcopy(network.state_dict())
            optimizer.step()
        before.append(earlier)
        gradients.append({name: parameter.grad for name, parameter in network.named_parameters()})
        ends.append(network.state_dict())
    merged = merge("linear", ends, alpha=alpha)
    for name in merged:
        start_point = (1 - alpha) * before[0][name] + alpha * before[1][name]
        step = (1 - alpha) * rates[0] * gradients[0][name] + alpha * rates[1] * gradients[1][name]
        torch.testing.assert_close(merged[name], start_point - step, rtol=1e-12, atol=1e-12)


def test_two_preconditioners_by_hand():
    merged = merge("preconditioned", [vector(1.0, 0.0), vector(0.0, 1.0)], preconditioners=P)["layer"]
    # (1 · 1 + .1 · 0) / 1.1 and (.1 · 0 + 1 · 1) / 1.1, where the linear merge has ½ and ½.
    np.testing.assert_allclose(merged.numpy(), [1 / 1.1, 1 / 1.1], rtol=1e-15)


def test_the_preconditioned_merge_is_nearest_in_the_metrics_of_training():
    ends = [vector(4.0, -1.0), vector(-2.0, 5.0)]

    def error(theta: torch.Tensor) -> float:
        return float(
            sum(((theta - end["layer"]) ** 2 / p["layer"]).sum() for end, p in zip(ends, P, strict=True))
        )

    best = merge("preconditioned", ends, preconditioners=P)["layer"]
    assert error(best) < error(merge("linear", ends)["layer"]) / 2
    for nudge in torch.eye(2).double() * 1e-3:
        assert error(best) < min(error(best + nudge), error(best - nudge))


@pytest.mark.parametrize("normalise", ["none", "trace"])
def test_equal_preconditioners_merge_linearly(normalise):
    ends = [vector(4.0, -1.0), vector(-2.0, 5.0)]
    merged = merge("preconditioned", ends, preconditioners=[P[0], P[0]], normalise=normalise)["layer"]
    torch.testing.assert_close(merged, merge("linear", ends)["layer"], rtol=1e-12, atol=1e-12)


def test_normalised_preconditioners_have_no_scale():
    ends = [vector(4.0, -1.0), vector(-2.0, 5.0)]
    scaled = [P[0], {"layer": 1000 * P[1]["layer"]}]
    plain, normal = (
        [
            merge("preconditioned", ends, preconditioners=each, normalise=normalise)["layer"]
            for each in (P, scaled)
        ]
        for normalise in ("none", "trace")
    )
    torch.testing.assert_close(normal[0], normal[1], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(plain[0], plain[1])
