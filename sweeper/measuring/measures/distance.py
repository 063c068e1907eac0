"""How far apart two endpoints are, and whether they left their branch point in one direction.

Notation: θ₀ the branch point, θ_A and θ_B the endpoints, τ = θ − θ₀ an endpoint's task vector; all are vectors of
the parameters, without buffers.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sweeper.measuring.measures.base import Number, Site
from sweeper.merging import StateDict


class Distance(NamedTuple):
    """How two endpoints lie to each other, seen from their branch point."""

    distance: float
    """‖θ_A − θ_B‖₂."""
    cosine: float
    """τ_A·τ_B / (‖τ_A‖ ‖τ_B‖); NaN where either is zero."""
    sign_agreement: float
    """Share of the entries that are nonzero in both task vectors whose signs agree; NaN without any."""


def distance_of(first: StateDict, second: StateDict, start: StateDict, names: Iterable[str]) -> Distance:
    """Return the distance of two endpoints over the parameters `names`, computed in float64."""
    entries = list(names)
    a, b, origin = (_vector(state, entries) for state in (first, second, start))
    one, other = a - origin, b - origin
    norms = float(one.norm()) * float(other.norm())
    both = (one != 0) & (other != 0)
    agree = (one.sign() == other.sign())[both]
    return Distance(
        distance=float((a - b).norm()),
        cosine=float(one @ other) / norms if norms else math.nan,
        sign_agreement=float(agree.double().mean()) if len(agree) else math.nan,
    )


def distance(site: Site) -> Iterator[Number]:
    """Yield distance, cosine and sign agreement of every pair of endpoints."""
    start = site.start.state
    if start is None:
        return
    names = [name for name, _ in site.meter.network.named_parameters()]
    for (key_a, a), (key_b, b) in itertools.combinations(site.ends.items(), 2):
        for name, value in distance_of(a, b, start, names)._asdict().items():
            yield Number((key_a, key_b), name, value, {"start": site.start.key})


def _vector(state: StateDict, names: Iterable[str]) -> Tensor:
    return torch.cat([state[name].double().reshape(-1) for name in names])
