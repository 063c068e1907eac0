"""The optimizers, fused: on a CPU a fused step costs a fraction of a plain one."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from search_spaces.config import TrainConfig


def build_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> Optimizer:
    """Return SGD (dampening 0, L2 weight decay) or AdamW (decoupled decay) over `parameters`."""
    if config.optimizer == "adamw":
        return AdamW(
            parameters,
            lr=config.resolved_lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
    return SGD(
        parameters,
        lr=config.resolved_lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )


def match_gradient_strides(parameters: Iterable[nn.Parameter]) -> None:
    """Give every gradient its parameter's memory layout.

    Fused SGD on the CPU ignores gradient strides: with a transposed `.grad` it corrupts weights silently.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
