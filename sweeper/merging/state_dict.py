"""What every merge method asks of its inputs, and how it gives its result."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

StateDict = dict[str, Tensor]

Blocks = Callable[[str], Iterable[Tensor]]
"""Name of a tensor → its values, as stretches of at most `BLOCK` entries in row-major order."""

BLOCK = 1 << 16
"""Entries worked on at once: few enough for a processor's cache, and for scratch memory that doesn't count."""


class MergeError(ValueError):
    """Endpoints that can't be merged; the text names the tensor or setting."""


def check_endpoints(endpoints: Sequence[StateDict], base: StateDict | None = None) -> None:
    """Check that endpoints, and the base if there is one, agree in names, shapes and dtypes, and are finite.

    Raises:
        MergeError: naming the first tensor that differs.
    """
    if not endpoints:
        raise MergeError("nothing to merge: no endpoints")
    first = endpoints[0]
    states = {f"endpoint {number}": endpoint for number, endpoint in enumerate(endpoints, 1)}
    if base is not None:
        states["the base"] = base
    for whose, state in states.items():
        if missing := sorted(first.keys() ^ state.keys()):
            raise MergeError(f"{missing[0]}: missing in {whose if missing[0] in first else 'endpoint 1'}")
    for name, tensor in first.items():
        for whose, state in states.items():
            other = state[name]
            if other.shape != tensor.shape:
                raise MergeError(
                    f"{name}: shape {tuple(other.shape)} of {whose} is not {tuple(tensor.shape)}"
                )
            if other.dtype != tensor.dtype:
                raise MergeError(f"{name}: dtype {other.dtype} of {whose} is not {tensor.dtype}")
            if not is_finite(other):
                raise MergeError(f"{name}: {whose} has values that are not finite")


def is_finite(tensor: Tensor) -> bool:
    """Return whether no entry of `tensor` is infinite or NaN."""
    # A sum is ten times as fast as looking at every entry, and one that overflows tells nothing.
    return bool(torch.isfinite(tensor.sum()) or torch.isfinite(tensor).all())


def tied_names(states: Sequence[StateDict]) -> dict[str, str]:
    """Return name → earlier name of the same memory in every one of `states`: tied weights."""
    first_of: dict[tuple[object, ...], str] = {}
    tied = {}
    for name in states[0]:
        views = [state[name] for state in states]
        place = tuple((view.data_ptr(), view.shape, view.stride(), view.dtype) for view in views)
        if first_of.setdefault(place, name) != name:
            tied[name] = first_of[place]
    return tied


def blocks(tensor: Tensor) -> Iterator[Tensor]:
    """Yield the entries of `tensor` in row-major order, at most `BLOCK` at a time; views where it is contiguous."""
    return iter(tensor.reshape(-1).split(BLOCK))


def weighted_sum(tensors: Sequence[Tensor], coefficients: Sequence[float]) -> Iterator[Tensor]:
    """Yield the blocks of Σ c_i θ_i, float64, for tensors of one shape."""
    for first, *others in zip(*map(blocks, tensors), strict=True):
        total = first.double() * coefficients[0]
        for other, coefficient in zip(others, coefficients[1:], strict=True):
            total.add_(other, alpha=coefficient)
        yield total


def rounded_sum(tensors: Sequence[Tensor], coefficients: Sequence[float]) -> Tensor:
    """Return Σ c_i θ_i for tensors of one shape, rounded once."""
    if len(tensors) == 2 and all(abs(math.frexp(each)[0]) in {0.0, 0.5} for each in coefficients):
        # Powers of two, as for midpoints, change exponents only: one addition, rounded once in any type.
        return (tensors[0] * coefficients[0]).add_(tensors[1], alpha=coefficients[1])
    return rounded(tensors[0], weighted_sum(tensors, coefficients))


def rounded(like: Tensor, values: Iterable[Tensor]) -> Tensor:
    """Return a tensor of the shape and dtype of `like` with the values in these blocks, each rounded once."""
    filled = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    for part, block in zip(blocks(filled), values, strict=True):
        part.copy_(block)
    return filled


@torch.no_grad()
def build(like: StateDict, merged: Callable[[str], Tensor]) -> StateDict:
    """Return the state dict of the float tensors that `merged` gives for the names of `like`.

    Other tensors are copies of those of `like`: integer buffers count batches, and averaging them is meaningless.
    """
    return {
        name: merged(name) if tensor.is_floating_point() else tensor.clone() for name, tensor in like.items()
    }
