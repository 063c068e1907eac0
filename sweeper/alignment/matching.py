"""Weight matching: the permutations of one network that bring its parameters nearest to another's."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sweeper.alignment.spec import Permutations, PermutationSpec, reordered
from sweeper.merging import StateDict
from sweeper.merging.state_dict import check_endpoints

STATISTICS = ("running_mean", "running_var")
"""Tensors that are permuted with the parameters, and no parameters: what they measure has another unit."""
TOLERANCE = 1e-10
"""Relative; a sum of products that is no larger than by this is no larger."""


def weight_matching(a: StateDict, b: StateDict, spec: PermutationSpec, seed: int = 0) -> Permutations:
    """Return permutations π that maximise Σ ⟨θ_A, π(θ_B)⟩, that is, minimise |θ_A − π(θ_B)|²: a local optimum.

    Coordinate descent from the identity: permutations are visited in random orders, which `seed` decides, and each
    is replaced by the best one given all others, a linear assignment, until none improves. Costs are in float64.

    Raises:
        AlignmentError: if the spec doesn't fit the networks.
        MergeError: if the networks don't fit together.

    Source: Ainsworth et al. (2023), algorithm 1.
    """
    check_endpoints([a, b])
    orders = {name: torch.arange(size) for name, size in spec.sizes(a).items()}
    matched = [name for name in spec.axes if not name.endswith(STATISTICS)]
    pairs = {name: (a[name].double(), b[name].double()) for name in matched}
    groups, draws = spec.groups(), torch.Generator().manual_seed(seed)
    improved = True
    while improved:
        improved = False
        for index in torch.randperm(len(groups), generator=draws).tolist():
            names, heads = groups[index]
            tables = [similarity(pairs, spec, orders, name) for name in names]
            before = [orders[name] for name in names]
            found = assign(tables, heads)
            if _total(tables, found) > _total(tables, before) + TOLERANCE * _scale(tables):
                orders |= dict(zip(names, found, strict=True))
                improved = True
    return orders


def similarity(
    pairs: Mapping[str, tuple[Tensor, Tensor]], spec: PermutationSpec, orders: Permutations, name: str
) -> Tensor:
    """Return ⟨unit i of A, unit j of B⟩ of one permutation, (n, n), with B in the order of all others."""
    size = len(orders[name])
    total = torch.zeros(size, size, dtype=torch.float64)
    for tensor, (a, b) in pairs.items():
        axes = spec.axes[tensor]
        for dim, axis in enumerate(axes):
            if name in axis:
                start = sum(len(orders[piece]) for piece in axis[: axis.index(name)])
                one, other = (
                    side.narrow(dim, start, size).movedim(dim, 0).reshape(size, -1)
                    for side in (a, reordered(b, axes, orders, but=dim))
                )
                total += (one @ other.T).cpu()
    return total


def assign(tables: Sequence[Tensor], heads: int) -> list[Tensor]:
    """Return the orders, one a table of similarities (n, n), that maximise the sum of what they pick.

    The n units are `heads` blocks; all orders move the blocks alike. Which block of B serves which of A is the
    assignment whose values are those of the best assignments of their units.
    """
    blocks = [table.unflatten(0, (heads, -1)).unflatten(2, (heads, -1)).numpy() for table in tables]
    values = torch.zeros(heads, heads, dtype=torch.float64)
    inside = {}
    for i, j in itertools.product(range(heads), repeat=2):
        parts = [block[i, :, j, :] for block in blocks]
        inside[i, j] = [linear_sum_assignment(part, maximize=True)[1] for part in parts]
        values[i, j] = sum(
            part[range(len(part)), order].sum() for part, order in zip(parts, inside[i, j], strict=True)
        )
    chosen = list(enumerate(linear_sum_assignment(values, maximize=True)[1].tolist()))
    return [
        torch.cat([torch.from_numpy(inside[i, j][which]) + j * block.shape[3] for i, j in chosen])
        for which, block in enumerate(blocks)
    ]


def _total(tables: Sequence[Tensor], orders: Sequence[Tensor]) -> float:
    """Return the sum of what the orders pick from their tables."""
    picked = (table.gather(1, order[:, None]).sum() for table, order in zip(tables, orders, strict=True))
    return float(sum(picked))


def _scale(tables: Sequence[Tensor]) -> float:
    """Return the sum over units of their mean absolute similarity: what rounding errors are relative to."""
    return float(sum(table.abs().mean(1).sum() for table in tables))
