"""Averages in which every entry of every endpoint has a weight of its own.

Notation: F_i, P_i diagonals of matrices, shaped like the parameters, by their names.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from torch import Tensor

from sweeper.merging.linear import shares_of
from sweeper.merging.state_dict import MergeError, StateDict, blocks, build, is_finite, rounded, rounded_sum

FLOOR = 1e-6
"""Least Fisher information of an entry: those that matter to no endpoint are averaged."""


def fisher(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    fishers: Sequence[StateDict],
    alpha: float | None = None,
    weights: Sequence[float] | None = None,
) -> StateDict:
    """Return Σ w_i F_i θ_i / Σ w_i F_i, entry by entry, with F_i at least 10⁻⁶.

    `fishers` has each endpoint's diagonal Fisher information. `alpha` and `weights` are those of `linear`, which merges
    the tensors that no diagonal names, such as buffers. Sums are taken in float64 and rounded once.

    Raises:
        MergeError: if a diagonal doesn't fit its endpoint or is negative anywhere, or as `linear`.

    Source: Matena and Raffel (2022).
    """
    shares = shares_of("fisher", len(endpoints), alpha, weights)
    _check("fisher", endpoints, fishers)
    return _averaged(endpoints, fishers, shares, [lambda block: block.clamp(min=FLOOR)] * len(fishers))


def preconditioned(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    preconditioners: Sequence[StateDict],
    normalise: Literal["none", "trace"] = "none",
    alpha: float | None = None,
    weights: Sequence[float] | None = None,
) -> StateDict:
    """Return (Σ w_i P_i⁻¹)⁻¹ Σ w_i P_i⁻¹ θ_i for endpoints of updates θ ← θ − lr P_i g.

    It is the point of least Σ w_i ‖θ − θ_i‖², each distance in the metric P_i⁻¹ in which that endpoint was trained.
    `preconditioners` has each endpoint's diagonal P_i, for Adam 1 / (√v̂ + ε); with `normalise="trace"` each is divided
    by its sum, since optimizers differ in scale. `alpha` and `weights` are those of `linear`, which merges the tensors
    that no diagonal names, such as buffers. Sums are taken in float64 and rounded once.

    Raises:
        MergeError: if a diagonal doesn't fit its endpoint or isn't positive everywhere, for an unknown `normalise`, or
            as `linear`.

    Source: "Model merging and the geometry of optimization", section Riemannian geometry and model merging.
    """
    shares = shares_of("preconditioned", len(endpoints), alpha, weights)
    if normalise not in {"none", "trace"}:
        raise MergeError(f'preconditioned: no normalise "{normalise}"; choose none or trace')
    _check("preconditioned", endpoints, preconditioners, positive=True)
    scales = [_trace(diagonal) if normalise == "trace" else 1.0 for diagonal in preconditioners]
    return _averaged(endpoints, preconditioners, shares, [_inverse(scale) for scale in scales])


Weigh = Callable[[Tensor], Tensor]
"""Block of a diagonal, float64 → weights of the entries."""


def _averaged(
    endpoints: Sequence[StateDict],
    diagonals: Sequence[StateDict],
    shares: Sequence[float],
    weighs: Sequence[Weigh],
) -> StateDict:
    def values(name: str, tensors: Sequence[Tensor]) -> Iterator[Tensor]:
        entries = zip(*map(blocks, tensors), strict=True)
        masses = zip(*(blocks(diagonal[name]) for diagonal in diagonals), strict=True)
        for thetas, diagonal in zip(entries, masses, strict=True):
            weights = [
                weigh(mass.double()) * share
                for weigh, mass, share in zip(weighs, diagonal, shares, strict=True)
            ]
            total = sum(weight * theta for weight, theta in zip(weights, thetas, strict=True))
            yield total / sum(weights)

    def merged(name: str) -> Tensor:
        tensors = [endpoint[name] for endpoint in endpoints]
        if name not in diagonals[0]:
            return rounded_sum(tensors, shares)
        return rounded(tensors[0], values(name, tensors))

    return build(endpoints[0], merged)


def _inverse(scale: float) -> Weigh:
    return lambda block: scale / block


def _trace(diagonal: StateDict) -> float:
    return math.fsum(float(block.double().sum()) for tensor in diagonal.values() for block in blocks(tensor))


def _check(
    kind: str, endpoints: Sequence[StateDict], diagonals: Sequence[StateDict], *, positive: bool = False
) -> None:
    """Check that there is a diagonal for each endpoint, that it fits, and that no entry is below zero, or zero.

    Raises:
        MergeError: naming the first tensor that is otherwise.
    """
    if len(diagonals) != len(endpoints):
        raise MergeError(f"{kind}: {len(diagonals)} diagonals for {len(endpoints)} endpoints")
    for number, diagonal in enumerate(diagonals, 1):
        where = f"diagonal {number} of {kind}"
        if missing := sorted(diagonal.keys() ^ diagonals[0].keys()):
            raise MergeError(
                f"{missing[0]}: missing in {where if missing[0] in diagonals[0] else 'diagonal 1'}"
            )
        for name, tensor in diagonal.items():
            if name not in endpoints[0]:
                raise MergeError(f"{name}: {where} names what the endpoints haven't got")
            if tensor.shape != endpoints[0][name].shape:
                shapes = f"{tuple(tensor.shape)} of {where} is not {tuple(endpoints[0][name].shape)}"
                raise MergeError(f"{name}: shape {shapes}")
            if not is_finite(tensor) or bool((tensor <= 0 if positive else tensor < 0).any()):
                raise MergeError(
                    f"{name}: {where} must be finite and {'above' if positive else 'at least'} 0"
                )
