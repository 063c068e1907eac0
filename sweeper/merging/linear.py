"""Weighted averages of endpoints."""

import math
from collections.abc import Sequence

from sweeper.merging.state_dict import MergeError, StateDict


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
    shares = _shares(len(endpoints), alpha, weights)
    merged = {}
    for name, tensor in endpoints[0].items():
        if not tensor.is_floating_point():
            # Integer buffers count batches; averaging them is meaningless.
            merged[name] = tensor.clone()
            continue
        total = tensor.double() * shares[0]
        for share, endpoint in zip(shares[1:], endpoints[1:], strict=True):
            total += endpoint[name].double() * share
        merged[name] = total.to(tensor.dtype)
    return merged


def _shares(count: int, alpha: float | None, weights: Sequence[float] | None) -> list[float]:
    if alpha is not None:
        if weights is not None:
            raise MergeError("linear: name alpha or weights, not both")
        if count != 2:
            raise MergeError(f"linear: alpha {alpha} is for two endpoints, got {count}; use weights")
        return [1.0 - alpha, alpha]
    if weights is None:
        return [1.0 / count] * count
    if len(weights) != count:
        raise MergeError(f"linear: {len(weights)} weights for {count} endpoints")
    total = math.fsum(weights)
    if total == 0.0:
        raise MergeError(f"linear: weights {list(weights)} sum to zero")
    return [weight / total for weight in weights]
