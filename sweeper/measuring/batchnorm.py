"""Running statistics after a merge.

Averaged running statistics belong to no network: activations of merged weights are distributed differently
from either endpoint's. `recalibrate` measures them anew.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sweeper.data import Task, train_batches

CHUNK = 512
"""Largest batch of the pass; all batches of a pass have one size, so that they weigh the same."""


def has_batchnorm(network: nn.Module) -> bool:
    """Return whether any module of `network` keeps running statistics."""
    return bool(_tracked(network))


def use_batch_statistics(network: nn.Module) -> None:
    """Put `network` in eval mode but for batch norm, which normalises by each batch's own statistics."""
    network.eval()
    for module in _tracked(network):
        module.train()


@torch.no_grad()
def recalibrate(network: nn.Module, task: Task, augment: str, seed: int) -> None:
    """Reset running statistics and set them by one cumulative pass over the training data.

    Every image is augmented by draws of its own, as in training: one crop shared by a batch gives statistics
    that cost points of accuracy. The pass depends on `seed` alone, so all networks see the same batches. Nothing
    but batch norm is in training mode: without dropout, as the network will be used.
    """
    tracked = _tracked(network)
    if not tracked:
        return
    momenta = [module.momentum for module in tracked]
    use_batch_statistics(network)
    for module in tracked:
        module.reset_running_stats()
        module.momentum = None  # a cumulative average
    images = len(task.train[0])
    batch_size = images // -(-images // CHUNK)
    dtype = next(network.parameters()).dtype
    for inputs, _ in train_batches(task, batch_size, augment, seed, 0, images // batch_size, dtype=dtype):
        network(inputs)
    for module, momentum in zip(tracked, momenta, strict=True):
        module.momentum = momentum


def _tracked(network: nn.Module) -> list[_BatchNorm]:
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
