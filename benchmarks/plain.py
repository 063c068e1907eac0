"""The script that a user would write instead: torchvision's transforms, a DataLoader, ordinary SGD, a plain loop.

It keeps to what tutorials show, and leaves out what would slow it down further: logging, `loss.item()`, a scheduler.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Dataset


class Images(Dataset[tuple[Tensor, int]]):
    """Images and class numbers; each image is transformed when it is asked for."""

    def __init__(
        self, images: Sequence[Any], targets: Sequence[int], transform: Callable[[Any], Tensor]
    ) -> None:
        self.images = images
        self.targets = targets
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.targets[index]


def train(
    network: nn.Module,
    optimizer: SGD,
    loader: DataLoader[tuple[Tensor, int]],
    epochs: int,
    lr: Callable[[int], float],
) -> None:
    """Train for `epochs`; step t has the learning rate lr(t)."""
    network.train()
    step = 0
    for _ in range(epochs):
        for inputs, targets in loader:
            for group in optimizer.param_groups:
                group["lr"] = lr(step)
            optimizer.zero_grad()
            loss = F.cross_entropy(network(inputs), targets)
            loss.backward()
            optimizer.step()
            step += 1


def sqrt_decay(lr: float, steps: int) -> Callable[[int], float]:
    """Return lr (1 − √(t / T)) by step."""
    return lambda step: lr * (1 - math.sqrt(step / steps))


def loss_gain(
    network: nn.Module,
    optimizer: SGD,
    loader: DataLoader[tuple[Tensor, int]],
    test: DataLoader[tuple[Tensor, int]],
    epochs: int,
    decay_epochs: int,
) -> float:
    """Return the test loss that averaging two branches saves over the branches' mean, in nats."""
    lr = optimizer.param_groups[0]["lr"]
    train(network, optimizer, loader, epochs, lambda _: lr)
    ends = []
    for _ in range(2):
        branch = copy.deepcopy(network)
        carried = SGD(branch.parameters(), **optimizer.defaults)
        # Loaded without a copy, the first branch's momentum would go on into the second.
        carried.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(branch, carried, loader, decay_epochs, sqrt_decay(lr, decay_epochs * len(loader)))
        ends.append(branch)
    merged = copy.deepcopy(ends[0])
    with torch.no_grad():
        for mine, first, second in zip(
            merged.parameters(), ends[0].parameters(), ends[1].parameters(), strict=True
        ):
            mine.copy_((first + second) / 2)
    losses = [_loss(end, loader, test) for end in (*ends, merged)]
    return (losses[0] + losses[1]) / 2 - losses[2]


@torch.no_grad()
def _loss(
    network: nn.Module, loader: DataLoader[tuple[Tensor, int]], test: DataLoader[tuple[Tensor, int]]
) -> float:
    torch.manual_seed(0)  # ends and merge see the same images, shifted the same way
    update_bn(loader, network)
    network.eval()
    batches = [(F.cross_entropy(network(x), y, reduction="sum").item(), len(y)) for x, y in test]
    return sum(loss for loss, _ in batches) / sum(images for _, images in batches)
