"""TIES: task vectors are trimmed, elect a sign entry by entry, and those that agree with it are merged.

Notation: θ₀ the base, τ_i = θ_i − θ₀ the task vectors (n of them), w_i their weights, λ the scale `alpha`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from sweeper.merging.linear import weights_of
from sweeper.merging.state_dict import Blocks, MergeError, StateDict, blocks, build, rounded
from sweeper.merging.task_vectors import required, task_vector

Trim = Literal["tensor", "global"]
Aggregate = Literal["mean", "sum"]

GATHERED = 1 << 20
"""How many candidates for the smallest kept magnitude are compared directly."""
DIGIT = 16
"""Bits by which the candidates are narrowed down at once."""


def ties(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    density: float = 0.2,
    trim: Trim = "tensor",
    aggregate: Aggregate = "mean",
    weights: Sequence[float] | None = None,
    alpha: float = 1.0,
) -> StateDict:
    """Return θ₀ + λ τ, where τ merges the entries of the τ_i that agree in sign with the elected one.

    Trim: of each τ_i its max(1, ⌊density · size⌋) largest entries by magnitude stay, with all that equal the smallest
    of them, in each tensor or in all together (`global`). Elect: the sign of Σ w_i τ_i, + if that is 0. Merge:
    Σ w_i τ_i over the w_i τ_i of that sign, divided by the sum of their weights for `mean`; 0 where that is 0. Zeros
    don't vote. Sums are taken in float64 and rounded once. Integer buffers are taken from the first endpoint.

    Raises:
        MergeError: without a base, for a density outside (0, 1], an unknown trim or aggregate, or weights of the
            wrong number.

    Source: Yadav et al. (2023).
    """
    start = required("ties", base)
    vectors = [task_vector(end, start) for end in endpoints]
    return consensus(endpoints[0], start, vectors, "ties", density, trim, aggregate, weights, alpha)


def consensus(
    like: StateDict,
    base: StateDict,
    vectors: Sequence[Blocks],
    kind: str,
    density: float,
    trim: Trim,
    aggregate: Aggregate,
    weights: Sequence[float] | None,
    alpha: float,
) -> StateDict:
    """Return θ₀ + λ τ for these task vectors, as `ties` does; tensors that aren't floats are those of `like`.

    Raises:
        MergeError: as `ties`.
    """
    if not 0 < density <= 1:
        raise MergeError(f"{kind}: density {density} is outside (0, 1]")
    if trim not in {"tensor", "global"}:
        raise MergeError(f'{kind}: no trim "{trim}"; choose tensor or global')
    if aggregate not in {"mean", "sum"}:
        raise MergeError(f'{kind}: no aggregate "{aggregate}"; choose mean or sum')
    voices = torch.tensor(weights_of(kind, len(vectors), weights), dtype=torch.float64)[:, None]
    sizes = {name: tensor.numel() for name, tensor in base.items() if tensor.is_floating_point()}
    together = thresholds(vectors, sizes, density) if trim == "global" else None

    def values(name: str) -> Iterator[Tensor]:
        smallest = thresholds(vectors, {name: sizes[name]}, density) if together is None else together
        for start, *changes in zip(blocks(base[name]), *(vector(name) for vector in vectors), strict=True):
            stacked = torch.stack(changes)
            stacked.masked_fill_(stacked.abs() < smallest.to(stacked.device), 0.0)
            yield _agreed(stacked, voices.to(stacked.device), aggregate).mul_(alpha).add_(start)

    return build(like, lambda name: rounded(like[name], values(name)))


def _agreed(changes: Tensor, voices: Tensor, aggregate: Aggregate) -> Tensor:
    """Return the merge, shape (m,), of trimmed task vectors (n, m) with weights (n, 1)."""
    weighted = changes.mul_(voices)
    negative = weighted.sum(0) < 0
    agree = torch.where(negative, weighted < 0, weighted > 0)
    total = (weighted * agree).sum(0)
    if aggregate == "sum":
        return total
    mass = (voices * agree).sum(0)
    return torch.where(mass == 0, 0.0, total / mass)


def thresholds(vectors: Sequence[Blocks], sizes: dict[str, int], density: float) -> Tensor:
    """Return, shape (n, 1), the smallest magnitude that each task vector keeps of its entries in these tensors."""
    size = sum(sizes.values())
    kept = max(1, int(density * size))
    if kept >= size:
        return torch.zeros(len(vectors), 1, dtype=torch.float64)

    def entries(vector: Blocks) -> Callable[[], Iterable[Tensor]]:
        return lambda: (block for name in sizes for block in vector(name))

    return torch.tensor([[largest(entries(vector), size, kept)] for vector in vectors], dtype=torch.float64)


def largest(values: Callable[[], Iterable[Tensor]], size: int, k: int) -> float:
    """Return the k-th largest magnitude of `size` float64 numbers that come in blocks, as often as asked for.

    Radix selection: floats that aren't negative are ordered as their bits are, so each pass finds `DIGIT` further bits
    of the result, until few candidates are left. Scratch memory does not grow with `size`.
    """
    prefix, shift = 0, 64
    while size > GATHERED and shift > 0:
        shift -= DIGIT
        counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
        for bits in _candidates(values(), prefix, shift + DIGIT):
            digits = (bits >> shift) & ((1 << DIGIT) - 1)
            counts += digits.bincount(minlength=1 << DIGIT).cpu()
        above = counts.flip(0).cumsum(0)
        place = int(torch.searchsorted(above, k))
        digit = len(counts) - 1 - place
        size = int(counts[digit])
        k -= int(above[place]) - size
        prefix = prefix << DIGIT | digit
    if shift == 0:
        return float(torch.tensor(prefix).view(torch.float64))
    found = torch.cat(list(_candidates(values(), prefix, shift)))
    return float(found.kthvalue(size - k + 1).values.view(torch.float64))


def _candidates(values: Iterable[Tensor], prefix: int, shift: int) -> Iterator[Tensor]:
    """Yield the bits, as int64, of the magnitudes that begin with `prefix`, which leaves `shift` bits open."""
    for block in values:
        bits = block.abs().view(torch.int64)
        yield bits if shift == 64 else bits[bits >> shift == prefix]
