"""Learned matching: the permutations of one network under which the midpoint to another loses least."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from sweeper.alignment.matching import assign
from sweeper.alignment.spec import Axis, Permutations, PermutationSpec
from sweeper.merging import StateDict

STEPS = 200
RATE = 0.02
"""Adam's, for matrices whose entries begin at 0 and 1."""


def learned_matching(
    a: StateDict,
    b: StateDict,
    spec: PermutationSpec,
    loss: Callable[[StateDict], Tensor],
    start: Permutations,
    steps: int = STEPS,
    lr: float = RATE,
) -> Permutations:
    """Return the permutations π with the least loss of ½ (θ_A + π(θ_B)) among `start` and those of `steps` steps.

    Straight through: each permutation is the assignment nearest to a free matrix Z (n, n), at first the permutation
    itself; what the loss says of the permutation's matrix is Z's gradient, for Adam.

    Args:
        a: The network that stays.
        b: The network whose units are moved.
        spec: Of both networks.
        loss: Loss of a network with these parameters, differentiable: next-token loss for a GPT.
        start: Where to begin, such as the result of weight matching.
        steps: Of Adam.
        lr: Of Adam.

    Source: Theus et al. (2025); Ainsworth et al. (2023), algorithm 3.
    """
    like = next(iter(a.values()))
    free = {name: _matrix(order, like).requires_grad_() for name, order in start.items()}
    optimizer = torch.optim.Adam(free.values(), lr)
    best, least = start, float("inf")
    for _ in range(steps + 1):
        orders: Permutations = {}
        for names, heads in spec.groups():
            found = assign([free[name].detach().double().cpu() for name in names], heads)
            orders |= dict(zip(names, found, strict=True))
        matrices = {
            name: _matrix(orders[name], like) + latent - latent.detach() for name, latent in free.items()
        }
        value = loss(_midpoint(a, b, spec, matrices))
        if float(value.detach()) < least:
            best, least = orders, float(value.detach())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return best


def _matrix(order: Tensor, like: Tensor) -> Tensor:
    matrix: Tensor = F.one_hot(order).to(like)
    return matrix


def _midpoint(a: StateDict, b: StateDict, spec: PermutationSpec, matrices: Mapping[str, Tensor]) -> StateDict:
    return {
        name: 0.5 * (tensor + _mixed(b[name], spec.axes[name], matrices)) if name in spec.axes else tensor
        for name, tensor in a.items()
    }


def _mixed(tensor: Tensor, axes: tuple[Axis, ...], matrices: Mapping[str, Tensor]) -> Tensor:
    """Return `tensor` with each of `axes` multiplied by its matrices."""
    for dim, axis in enumerate(axes):
        if axis:
            pieces = tensor.split([len(matrices[name]) for name in axis], dim)
            mixed = [
                torch.tensordot(matrices[name], piece, ([1], [dim]))
                for name, piece in zip(axis, pieces, strict=True)
            ]
            tensor = torch.cat(mixed).movedim(0, dim)
    return tensor
