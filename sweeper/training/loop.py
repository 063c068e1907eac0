"""The training loop, the same for trunk and branch."""

from collections.abc import Iterable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from sweeper.training.optimizers import match_gradient_strides
from sweeper.training.schedules import Schedule

CHECK_EVERY = 50
"""Steps between looks at the loss: each look waits for the device."""


class Diverged(Exception):
    """Training produced a loss, a parameter or a buffer that is not finite; `step` is where it stopped."""

    def __init__(self, step: int) -> None:
        super().__init__(f"diverged by step {step}")
        self.step = step


def train(
    network: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    schedule: Schedule,
    start: int,
    seed: int,
    *,
    autocast: bool = False,
) -> None:
    """Take one optimizer step per batch, the first of them step number `start`.

    Minimises the mean cross-entropy of the batch, in nats. `batches` yields inputs (B, …) and targets (B,) on
    the network's device; `schedule` gives the lr of each absolute step; what the network draws (dropout) depends
    on `seed` and the absolute step; `autocast` computes in bfloat16.

    Raises:
        Diverged: as soon as a look at the loss, every 50 steps, or at all parameters and buffers, at the end,
            finds one not finite.
    """
    network.train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    device = parameters[0].device
    precision = torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext()
    step = start
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for step, (inputs, targets) in enumerate(batches, start):
            dropout_generator(device).manual_seed((seed + step) % 2**64)
            for group in optimizer.param_groups:
                group["lr"] = schedule(step)
            with precision:
                loss = F.cross_entropy(network(inputs), targets)
            # `optimizer.zero_grad` does the same, with a record for the profiler that costs ten times as much.
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            match_gradient_strides(parameters)
            optimizer.step()
            if step % CHECK_EVERY == 0 and not torch.isfinite(loss):
                raise Diverged(step + 1)
    # Batch norm hides what overflows: its running variance is infinite while every parameter is finite.
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise Diverged(step + 1)


def dropout_generator(device: torch.device) -> torch.Generator:
    """Return the generator that dropout on `device` draws from; `torch.manual_seed` would cost more than a step."""
    return torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
