"""The full effective noise scale S_eff = S tr Σ, as far as it was measured: a further axis of the collapse."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd


def effective_noise(measurements: pd.DataFrame) -> pd.Series:
    """Return trial → S_eff, the mean over its branch points; only trials in which it was measured.

    `measurements` are those of `read_measurements`, of a recipe with `measures: {also: [gradient_noise]}`.
    """
    rows = measurements[measurements["name"] == "effective_noise_scale"]
    means: pd.Series = rows.groupby("trial")["value"].mean()
    return means.dropna()


def measured_noise(recipe: Mapping[str, Any], read: Callable[[], pd.DataFrame]) -> pd.Series | None:
    """Return `effective_noise` of the measurements that `read` returns; None if `recipe` asks for none of them.

    To read measurements takes as long as to read records: it is left out where they would say nothing.
    """
    return effective_noise(read()) if "gradient_noise" in recipe["measures"]["also"] else None
