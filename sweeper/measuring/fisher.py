"""How much each parameter matters to what a network predicts: the diagonal of its Fisher information."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from sweeper.data import Task
from sweeper.data.randomness import epoch_order

GRADIENT_ENTRIES = 1 << 26
"""Entries of per-example gradients held at once."""


def fisher_diagonal(network: nn.Module, task: Task, examples: int, seed: int) -> dict[str, Tensor]:
    """Return, by parameter and float64, F = 1/n Σ_x Σ_y p(y|x) (∂ log p(y|x) / ∂θ)².

    The sum over x goes over `examples` training examples that `seed` draws, all if there are fewer, without
    augmentation; that over y over all classes, so that it is the Fisher information itself, not its estimate from the
    labels. Gradients are per example: the square of a batch's summed gradient is something else. The network is in eval
    mode, where batch norm doesn't couple examples.

    Source: Matena and Raffel (2022), section 2.
    """
    network.eval()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    buffers = dict(network.named_buffers())

    def log_likelihood(parameters: dict[str, Tensor], image: Tensor, target: int) -> tuple[Tensor, Tensor]:
        outputs: Tensor = functional_call(network, (parameters, buffers), (image[None],))
        likelihood = outputs.log_softmax(1)[0, target]
        return likelihood, likelihood

    gradients = vmap(grad(log_likelihood, has_aux=True), in_dims=(None, 0, None))
    dtype = next(iter(parameters.values())).dtype
    inputs = task.train[0]
    chosen = epoch_order(len(inputs), seed, 0)[:examples].to(inputs.device)
    chunk = max(1, GRADIENT_ENTRIES // sum(parameter.numel() for parameter in parameters.values()))
    total = {name: torch.zeros_like(each, dtype=torch.float64) for name, each in parameters.items()}
    for part in chosen.split(chunk):
        images = task.batch(inputs[part], dtype)
        for target in range(task.classes):
            each, likelihoods = gradients(parameters, images, target)
            for name, gradient in each.items():
                total[name] += torch.einsum(
                    "n,n...->...", likelihoods.double().exp(), gradient.double().square()
                )
    return {name: each / len(chosen) for name, each in total.items()}
