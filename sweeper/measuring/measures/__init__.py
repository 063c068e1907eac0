"""Measures of endpoints, pairs and planes beside the gain: what `measures/also` of a recipe names.

Each module computes one from networks and data alone, and reports it for a branch point. docs/measures.md lists them.
"""

import json
import math
from collections.abc import Iterator
from contextlib import nullcontext

import torch

from analysis.records import Measurement
from sweeper.measuring.measures.accuracy import normalised_accuracy
from sweeper.measuring.measures.barrier import barrier
from sweeper.measuring.measures.base import Measure, Number, Site
from sweeper.measuring.measures.cka import cka
from sweeper.measuring.measures.curvature import curvature
from sweeper.measuring.measures.distance import distance
from sweeper.measuring.measures.gradient_noise import gradient_noise
from sweeper.measuring.measures.plane import plane

__all__ = ["MEASURES", "Number", "Site", "measure"]

MEASURES: dict[str, Measure] = {
    "barrier": barrier,
    "cka": cka,
    "curvature": curvature,
    "distance": distance,
    "gradient_noise": gradient_noise,
    "normalised_accuracy": normalised_accuracy,
    "plane": plane,
}
"""Name in `measures/also` → what measures it."""


def measure(site: Site, run: str, trial: str, branch_step: int) -> Iterator[Measurement]:
    """Yield all that `measures/also` names at one branch point; what is not defined or not finite has no value."""
    # Compiled code knows neither hooks nor second derivatives nor vmap.
    eager = torch.compiler.set_stance("force_eager") if site.config.train.compile else nullcontext()
    with eager:
        for name in site.config.measures.also:
            for number in MEASURES[name](site):
                yield Measurement(
                    run=run,
                    trial=trial,
                    branch_step=branch_step,
                    subject="+".join(number.subject),
                    name=number.name,
                    index=number.index,
                    value=number.value if math.isfinite(number.value) else None,
                    settings=json.dumps(dict(number.settings), sort_keys=True),
                )
