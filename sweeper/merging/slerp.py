"""Interpolation along the arc between two endpoints."""

import math
from collections.abc import Sequence

from torch import Tensor

from sweeper.merging.state_dict import MergeError, StateDict, blocks, build, rounded_sum

PARALLEL = 0.9995
"""|cos| beyond which the arc is a line, or, between opposite tensors, any arc is as good as another."""
TINY = 1e-8
"""Norm at and below which a tensor has no direction."""


def slerp(endpoints: Sequence[StateDict], base: StateDict | None = None, *, alpha: float = 0.5) -> StateDict:
    """Return, per tensor, sin((1 − α) ω)/sin ω θ_A + sin(α ω)/sin ω θ_B with ω the angle between θ_A and θ_B.

    Where |cos ω| > .9995 or a norm is at most 10⁻⁸ it is (1 − α) θ_A + α θ_B. Sums are taken in float64 and rounded
    once. Integer buffers are taken from the first endpoint.

    Raises:
        MergeError: for other than two endpoints.

    Source: Shoemake (1985); per tensor as in Goddard et al. (2024).
    """
    if len(endpoints) != 2:
        raise MergeError(f"slerp: takes two endpoints, got {len(endpoints)}")

    def merged(name: str) -> Tensor:
        one, other = (endpoint[name] for endpoint in endpoints)
        return rounded_sum([one, other], _coefficients(one, other, alpha))

    return build(endpoints[0], merged)


def _coefficients(one: Tensor, other: Tensor, alpha: float) -> tuple[float, float]:
    norms = math.sqrt(_dot(one, one)), math.sqrt(_dot(other, other))
    if min(norms) <= TINY:
        return 1.0 - alpha, alpha
    cosine = _dot(one, other) / norms[0] / norms[1]
    if abs(cosine) > PARALLEL:
        return 1.0 - alpha, alpha
    angle = math.acos(cosine)
    return math.sin((1.0 - alpha) * angle) / math.sin(angle), math.sin(alpha * angle) / math.sin(angle)


def _dot(one: Tensor, other: Tensor) -> float:
    parts = zip(blocks(one), blocks(other), strict=True)
    return math.fsum(float(left.double() @ right.double()) for left, right in parts)
