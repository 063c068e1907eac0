import numpy as np
import pytest
import reference
import torch
import torch.nn.functional as F
from networks import examples, network_of
from torch import Tensor, nn

from sweeper.measuring.measures.curvature import top_eigenvalues


class Attention(nn.Module):
    """The rows of an 8x8 digit attend to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.keys, self.head = nn.Linear(8, 3), nn.Linear(8, 3), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1, 2)
        attended = F.scaled_dot_product_attention(self.queries(rows), self.keys(rows), rows)
        return self.head(attended.mean(1))


def attention() -> nn.Module:
    torch.manual_seed(0)
    return Attention().double()


@pytest.mark.parametrize(
    "network",
    [network_of(widths=[4, 4]), network_of("resnet8", width=1), attention()],
    ids=["mlp with batch norm", "resnet8", "attention"],
)
def test_the_top_eight_are_those_of_the_dense_hessian(network):
    inputs, targets = examples(40)
    targets = targets % 4
    expected = np.linalg.eigvalsh(reference.hessian(network, inputs, targets))[::-1][:8]
    found = top_eigenvalues(network.train(), inputs, targets, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert expected[0] > 1e-3


def test_more_examples_than_one_chunk_takes():
    network = network_of(widths=[2], norm="none")
    inputs, targets = (torch.cat([part, part])[:150] for part in examples())
    expected = np.linalg.eigvalsh(reference.hessian(network, inputs, targets))[::-1][:3]
    np.testing.assert_allclose(top_eigenvalues(network, inputs, targets, 3), expected, rtol=1e-6)


def test_networks_of_few_parameters_have_all_their_eigenvalues():
    torch.manual_seed(0)
    network, inputs = nn.Linear(2, 3).double(), torch.randn(30, 2).double()
    targets = torch.arange(30) % 3
    expected = np.linalg.eigvalsh(reference.hessian(network, inputs, targets))[::-1]
    np.testing.assert_allclose(top_eigenvalues(network, inputs, targets, 20), expected, atol=1e-12)


def test_a_flat_loss_has_no_curvature():
    network = nn.Sequential(nn.Linear(8, 8), nn.Flatten()).double()
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.copy_(torch.tensor([1e4] + [0.0] * 7))
    found = top_eigenvalues(network, torch.ones(5, 8).double(), torch.zeros(5, dtype=torch.long), 2)
    np.testing.assert_array_equal(found, 0.0)


def test_the_network_stays_as_it_is_and_the_seed_fixes_the_result():
    network, (inputs, targets) = network_of().float(), examples(20)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    once, again = (top_eigenvalues(network, inputs, targets, 4, seed=1) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.dtype == before[name].dtype
    assert all(parameter.grad is None for parameter in network.parameters())
