import math

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import examples, network_of
from torch import Tensor, nn

from sweeper.measuring.measures.cka import linear_cka, penultimate


def features(seed: int, examples: int, width: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(1.0, 2.0, (examples, width)))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(4, 7),
    widths=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_it_is_that_of_the_kernels(seed, n, widths, scale):
    X, Y = features(seed, n, widths[0]), features(seed + 1, n, widths[1])
    Y = Y + X[:, :1]
    found = linear_cka(scale * X, Y)
    assert found.plain == pytest.approx(reference.cka(X.numpy(), Y.numpy()), abs=1e-9)
    if math.isfinite(found.debiased):
        assert found.debiased == pytest.approx(reference.debiased_cka(X.numpy(), Y.numpy()), rel=1e-7)
    for value in linear_cka(X, 3 * X + 5):
        assert value == pytest.approx(1.0, abs=1e-9) or math.isnan(value)


def test_it_ignores_rotation_and_scale_but_not_other_maps():
    X, Y = features(0, 50, 6), features(1, 50, 4)
    rotation = torch.linalg.qr(features(2, 6, 6)).Q
    assert linear_cka(0.1 * X @ rotation + 7, Y) == pytest.approx(linear_cka(X, Y), rel=1e-9)
    assert linear_cka(X, X @ rotation) == pytest.approx((1.0, 1.0))
    assert linear_cka(X, X @ features(3, 6, 6)).plain < 0.99


def test_only_the_plain_one_takes_many_features_for_likeness():
    pairs = [linear_cka(features(seed, 20, 200), features(seed + 100, 20, 200)) for seed in range(20)]
    plain, debiased = np.array(pairs).T
    assert plain.mean() > 0.8
    assert abs(debiased.mean()) < 3 * debiased.std() / math.sqrt(20) + 1e-3


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, -1e30])
def test_constant_activations_are_like_nothing(constant):
    X, same = features(0, 9, 3), torch.full((9, 5), constant, dtype=torch.float64)
    for pair in ((X, same), (same, X), (same, same)):
        assert all(math.isnan(value) for value in linear_cka(*pair))


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="3 examples are too few; raise cka_examples"):
        linear_cka(features(0, 3, 2), features(1, 3, 2))


@pytest.mark.parametrize(("name", "classifier"), [("mlp", "classifier"), ("resnet8", "fc")])
def test_penultimate_is_what_the_classifier_is_given(name, classifier):
    network, (inputs, _) = network_of(name), examples(40)
    before = network(inputs)
    given_to_it = penultimate(network.train(), inputs)
    with torch.no_grad():
        outputs = network.get_submodule(classifier)(given_to_it)
    torch.testing.assert_close(outputs, before, rtol=1e-12, atol=1e-12)
    assert not any(module._forward_pre_hooks for module in network.modules())


class HeadFirst(nn.Module):
    """Declares its classifier before what comes before it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.body = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


def test_the_last_layer_is_the_one_that_runs_last():
    network, inputs = HeadFirst(), torch.randn(600, 4)
    assert torch.equal(penultimate(network, inputs), network.body(inputs).relu())


def test_a_network_without_linear_layers_is_refused():
    with pytest.raises(ValueError, match=r"Flatten runs no torch\.nn\.Linear"):
        penultimate(nn.Flatten(), torch.ones(4, 2))
