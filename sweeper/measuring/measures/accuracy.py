"""How much of the single networks' accuracy a merge keeps."""

import json
import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from sweeper.measuring.measures.base import Number, Site

FIELDS = ("merge", "alpha", "batchnorm", "eval_task", "split")


def normalised(merged: Sequence[float], single: Sequence[float]) -> float:
    """Return (1/T) Σ_i acc_i(θ_M) / acc_i(θ_i), NaN where some acc_i(θ_i) is 0.

    Args:
        merged: acc_i(θ_M), the merged network's accuracy on each of the T tasks.
        single: acc_i(θ_i), that of the network of each task.

    Source: Zhang et al. (2026), appendix A.3.
    """
    if 0.0 in single:
        return math.nan
    return fmean(both / alone for both, alone in zip(merged, single, strict=True))


def normalised_accuracy(site: Site) -> Iterator[Number]:
    """Yield the normalised accuracy of every merge; the endpoints of a trial share one task."""
    for record in site.records:
        if record.metric != "accuracy":
            continue
        keys = tuple(end["key"] for end in json.loads(record.endpoints))
        place = (record.eval_task, record.split)
        swa = json.loads(record.merge_settings).get("swa", 0)
        singles = [site.meter.known(key, swa, record.batchnorm)[place] for key in keys]
        alive = [scores.accuracy for scores in singles if scores is not None]
        value = math.nan
        if record.f_merged is not None and len(alive) == len(keys):
            value = normalised([record.f_merged] * len(keys), alive)
        settings = {name: getattr(record, name) for name in FIELDS}
        settings["merge_settings"] = json.loads(record.merge_settings)
        yield Number(keys, "normalised_accuracy", value, settings)
