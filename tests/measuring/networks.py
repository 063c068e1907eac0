"""Small float64 networks on real digits."""

import torch
from tiny import tiny
from torch import Tensor, nn

from sweeper.models import build_model
from sweeper.trial import load_task

TASK = load_task(tiny().task)


def network_of(name: str = "mlp", seed: int = 0, **settings: object) -> nn.Module:
    """A network with the running statistics of 96 digits."""
    settings = {"widths": [6], **settings} if name == "mlp" else {"width": 2, **settings}
    network = build_model(name, settings, TASK, seed, torch.float64)
    network.train()(examples()[0])
    return network.eval()


def examples(count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first digits of the training split, as networks are fed."""
    inputs, targets = TASK.train
    return TASK.batch(inputs[:count], torch.float64), targets[:count]
