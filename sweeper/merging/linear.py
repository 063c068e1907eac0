"""Weighted averages of endpoints."""

import math
from collections.abc import Sequence

from sweeper.merging.state_dict import MergeError, StateDict, build, rounded_sum


def linear(
    endpoints: Sequence[StateDict],
    base: StateDict | None = None,
    *,
    alpha: float | None = None,
    weights: Sequence[float] | None = None,
) -> StateDict:
    """Return Σ w_i θ_i / Σ w_i; for a pair, alpha means (1 − α) θ_A + α θ_B.

    `weights` has one number per endpoint (default: equal); an average needs no `base`. Sums are taken in float64
    and rounded once. Integer buffers are taken from the first endpoint. Shapes and dtypes are kept.

    Raises:
        MergeError: if both alpha and weights are given, alpha with other than two endpoints, or weights of the
            wrong number or that sum to zero.

    Source: Zhang et al. (2026), Eq. 1; Frankle et al. (2020).
    """
    shares = shares_of("linear", len(endpoints), alpha, weights)
    return build(endpoints[0], lambda name: rounded_sum([each[name] for each in endpoints], shares))


def shares_of(kind: str, count: int, alpha: float | None, weights: Sequence[float] | None) -> Sequence[float]:
    """Return w_i / Σ w_i, (1 − α, α) for a pair with an alpha, 1/n each by default.

    Raises:
        MergeError: if both are given, alpha with other than two endpoints, or weights of the wrong number or that
            sum to zero.
    """
    if alpha is not None:
        if weights is not None:
            raise MergeError(f"{kind}: name alpha or weights, not both")
        if count != 2:
            raise MergeError(f"{kind}: alpha {alpha} is for two endpoints, got {count}; use weights")
        return [1.0 - alpha, alpha]
    given = weights_of(kind, count, weights)
    total = math.fsum(given)
    if total == 0.0:
        raise MergeError(f"{kind}: weights {list(given)} sum to zero")
    return [weight / total for weight in given]


def weights_of(kind: str, count: int, weights: Sequence[float] | None) -> Sequence[float]:
    """Return `weights`, by default 1 each.

    Raises:
        MergeError: if they aren't as many as there are endpoints.
    """
    if weights is not None and len(weights) != count:
        raise MergeError(f"{kind}: {len(weights)} weights for {count} endpoints")
    return [1.0] * count if weights is None else weights
