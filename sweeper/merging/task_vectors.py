"""Merges of what training added to a common base.

Notation: θ₀ the base, θ_i an endpoint, τ_i = θ_i − θ₀ its task vector.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from sweeper.merging.linear import weights_of
from sweeper.merging.state_dict import Blocks, MergeError, StateDict, blocks, build, rounded


def task_arithmetic(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    alpha: float | None = None,
    weights: Sequence[float] | None = None,
) -> StateDict:
    """Return θ₀ + Σ α_i τ_i.

    `weights` are the α_i, one per endpoint and not normalised; `alpha` is the same for all, by default 1/n, the mean.
    Sums are taken in float64 and rounded once. Integer buffers are taken from the first endpoint.

    Raises:
        MergeError: without a base, if both alpha and weights are given, or weights of the wrong number.

    Source: Ilharco et al. (2023); Zhang et al. (2026), Eq. 2.
    """
    start = required("task_arithmetic", base)
    coefficients = coefficients_of("task_arithmetic", len(endpoints), alpha, weights)
    return added(endpoints[0], start, [task_vector(end, start) for end in endpoints], coefficients)


def required(kind: str, base: StateDict | None) -> StateDict:
    """Return `base`.

    Raises:
        MergeError: if there is none.
    """
    if base is None:
        raise MergeError(
            f"{kind}: merges differences from a base, and got none; give the branch point's parameters"
        )
    return base


def coefficients_of(
    kind: str, count: int, alpha: float | None, weights: Sequence[float] | None
) -> Sequence[float]:
    """Return the coefficients of task vectors: `weights`, or `alpha` for each, 1/n each by default.

    Raises:
        MergeError: if both are given, or weights of the wrong number.
    """
    if alpha is not None and weights is not None:
        raise MergeError(f"{kind}: name alpha or weights, not both")
    if weights is not None:
        return weights_of(kind, count, weights)
    return [1.0 / count if alpha is None else alpha] * count


def task_vector(endpoint: StateDict, base: StateDict) -> Blocks:
    """Return the blocks of τ = θ − θ₀, each a tensor of its own."""

    def values(name: str) -> Iterator[Tensor]:
        for end, start in zip(blocks(endpoint[name]), blocks(base[name]), strict=True):
            yield end.double() - start

    return values


def added(
    like: StateDict, base: StateDict, vectors: Sequence[Blocks], coefficients: Sequence[float]
) -> StateDict:
    """Return θ₀ + Σ c_i τ_i; tensors that aren't floats are those of `like`."""

    def values(name: str) -> Iterator[Tensor]:
        for start, *changes in zip(blocks(base[name]), *(vector(name) for vector in vectors), strict=True):
            total = changes[0] * coefficients[0]
            for change, coefficient in zip(changes[1:], coefficients[1:], strict=True):
                total.add_(change, alpha=coefficient)
            yield total.add_(start)

    return build(like, lambda name: rounded(like[name], values(name)))
