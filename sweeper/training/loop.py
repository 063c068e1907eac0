"""The training loop, the same for trunk and branch."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from sweeper.training.optimizers import match_gradient_strides
from sweeper.training.schedules import Schedule

CHECK_EVERY = 50
"""Steps between looks at the loss: each look waits for the device."""


class Diverged(Exception):
    """Training produced a loss or a parameter that is not finite."""

    def __init__(self, step: int) -> None:
        super().__init__(f"diverged by step {step}")
        self.step = step


def train(
    network: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    schedule: Schedule,
    start: int,
    *,
    autocast: bool = False,
) -> None:
    """Take one optimizer step per batch, the first of them step number `start`.

    Minimises the mean cross-entropy of the batch, in nats. `batches` yields inputs (B, …) and targets (B,) on
    the network's device; `schedule` gives the lr of each absolute step; `autocast` computes in bfloat16.

    Raises:
        Diverged: as soon as a look at the loss, every 50 steps and at the end, finds it not finite.
    """
    network.train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    step = start
    for step, (inputs, targets) in enumerate(batches, start):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=autocast):
            loss = F.cross_entropy(network(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        match_gradient_strides(parameters)
        optimizer.step()
        if step % CHECK_EVERY == 0 and not torch.isfinite(loss):
            raise Diverged(step)
    if not all(torch.isfinite(parameter).all() for parameter in parameters):
        raise Diverged(step)
