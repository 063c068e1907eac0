"""Which units of a network can change places, and the network after they have.

Notation: a permutation is the order (n,) of its n units: unit i of the result is unit order[i] of the original. An axis
of a tensor is the tuple of permutations whose units lie along it one after the other, () if they stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sweeper.merging import MergeError, StateDict

Axis = tuple[str, ...]
Permutations = dict[str, Tensor]
"""Name → order."""


class AlignmentError(MergeError):
    """Networks that can't be aligned; the text names the tensor, layer or model."""


@dataclass(frozen=True)
class PermutationSpec:
    """Which axes of which tensors share a permutation; applied together, they leave the network's function alone."""

    axes: Mapping[str, tuple[Axis, ...]]
    """Of each parameter and running statistic, its first axes."""
    heads: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    """Permutations of so many attention heads: they move heads in one order, and mix units within a head only."""

    def groups(self) -> list[tuple[tuple[str, ...], int]]:
        """Return the permutations that are chosen together, and over how many heads, in the order of declaration."""
        names = dict.fromkeys(name for axes in self.axes.values() for axis in axes for name in axis)
        tied = {name: (group, heads) for group, heads in self.heads.items() for name in group}
        return list(dict.fromkeys(tied.get(name, ((name,), 1)) for name in names))

    def sizes(self, state: StateDict) -> dict[str, int]:
        """Return how many units each permutation has in a network with this state.

        Raises:
            AlignmentError: naming the tensor that the network or the spec lacks, or whose shape doesn't fit.
        """
        known = {name for name, tensor in state.items() if tensor.is_floating_point()}
        if unknown := sorted(known ^ self.axes.keys()):
            place = "permutation spec" if unknown[0] in known else "network"
            raise AlignmentError(
                f"{unknown[0]}: the {place} has no such tensor; use the spec of this network"
            )
        sizes: dict[str, int] = {}
        # Axes of one permutation first: they say how long the pieces of the others are.
        for name, axis, length in sorted(self._lengths(state), key=lambda found: len(found[1])):
            expected = sum(sizes.setdefault(piece, length) for piece in axis)
            if expected != length:
                raise AlignmentError(f"{name}: {length} units lie along {'+'.join(axis)}, not {expected}")
        return sizes

    def _lengths(self, state: StateDict) -> Iterator[tuple[str, Axis, int]]:
        """Yield each axis that is permuted: its tensor, its permutations, and its length."""
        for name, axes in self.axes.items():
            for axis, length in zip(axes, state[name].shape, strict=False):
                if axis:
                    yield name, axis, length


def permute(state: StateDict, spec: PermutationSpec, permutations: Permutations) -> StateDict:
    """Return the network whose units are in the order of `permutations`; the input is not changed.

    Raises:
        AlignmentError: naming the tensor that the spec doesn't fit, or the permutation that is none.
    """
    for name, size in spec.sizes(state).items():
        if not torch.equal(permutations[name].sort().values.cpu(), torch.arange(size)):
            raise AlignmentError(f"{name}: not an order of {size} units")
    return {
        name: reordered(tensor, spec.axes.get(name, ()), permutations).clone()
        for name, tensor in state.items()
    }


def reordered(
    tensor: Tensor, axes: tuple[Axis, ...], permutations: Permutations, but: int | None = None
) -> Tensor:
    """Return `tensor` with all `axes` in order, `but` one."""
    for dim, axis in enumerate(axes):
        if axis and dim != but:
            start, pieces = 0, []
            for name in axis:
                pieces.append(permutations[name] + start)
                start += len(permutations[name])
            tensor = tensor.index_select(dim, torch.cat(pieces).to(tensor.device))
    return tensor
