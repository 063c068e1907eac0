import numpy as np
import pytest
import reference
import torch
from tiny import tiny
from torch import nn

from sweeper.data import Task, train_batches
from sweeper.measuring import has_batchnorm, recalibrate
from sweeper.models import build_model
from sweeper.trial import load_task

SEED = 5


def network_of(dtype: torch.dtype = torch.float64, **settings: object) -> nn.Sequential:
    network = build_model("mlp", {"widths": [8, 6], **settings}, load_task(tiny().task), seed=0, dtype=dtype)
    assert isinstance(network, nn.Sequential)
    return network


def larger_task(images: int) -> Task:
    generator = torch.Generator().manual_seed(0)
    split = torch.rand(images, 1, 8, 8, generator=generator), torch.arange(images) % 10
    return Task(classes=10, train=split, test=split)


# 1100 images take three equal batches of 366; a batch of 512 and the rest would not weigh the same.
@pytest.mark.parametrize(("images", "batch_size"), [(96, 96), (1100, 366)])
@pytest.mark.parametrize("augment", ["none", "shift"])
def test_statistics_are_means_over_equal_batches(augment, images, batch_size):
    task, network = larger_task(images), network_of()
    parameters = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    batches = train_batches(task, batch_size, augment, SEED, 0, images // batch_size, dtype=torch.float64)
    expected = reference.batch_statistics(network, [inputs for inputs, _ in batches])
    recalibrate(network, task, augment, SEED)
    assert set(expected) == {"norm1", "norm2"}
    for name, (mean, variance) in expected.items():
        layer = network.get_submodule(name)
        np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-10)
        assert layer.momentum == 0.1
    assert all(torch.equal(parameter, parameters[name]) for name, parameter in network.named_parameters())


def test_it_forgets_what_was_there_and_depends_on_the_seed_alone():
    task, networks = load_task(tiny().task), [network_of(), network_of()]
    networks[1].train()(100 * torch.rand(20, 1, 8, 8).double())
    for network in networks:
        recalibrate(network, task, "shift", SEED)
    one, other = (network.state_dict() for network in networks)
    assert all(torch.equal(one[name], other[name]) for name in one)
    recalibrate(networks[1], task, "shift", SEED + 1)
    assert not torch.equal(networks[1].state_dict()["norm1.running_mean"], one["norm1.running_mean"])


def test_dropout_is_off_and_draws_nothing():
    task = load_task(tiny().task)
    plain = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64))
    dropping = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.BatchNorm1d(64))
    before = torch.get_rng_state()
    recalibrate(plain, task, "shift", SEED)
    recalibrate(dropping, task, "shift", SEED)
    assert torch.equal(plain[1].running_var, dropping[2].running_var)
    assert torch.equal(torch.get_rng_state(), before)


def test_only_networks_with_batch_norm_have_statistics():
    assert has_batchnorm(network_of())
    plain = network_of(norm="none")
    assert not has_batchnorm(plain)
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    recalibrate(plain, load_task(tiny().task), "shift", SEED)
    assert all(torch.equal(tensor, before[name]) for name, tensor in plain.state_dict().items())
