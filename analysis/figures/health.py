"""What became of the trials, and where on the noise axis they were lost."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.table import Floats, GainCurve, Strings

STATES = {
    "ok": ("#0072b2", ""),
    "partly collapsed": ("#56b4e9", "/"),
    "too inaccurate": ("#f0e442", "|"),
    "at chance": ("#e69f00", "x"),
    "diverged": ("#d55e00", "\\"),
    "failed": ("#8a8a8a", "."),
    "running": ("#cc79a7", "-"),
}
"""What becomes of a trial → colour and fill pattern."""
MOST_BARS = 24


@dataclass(frozen=True)
class HealthInfo:
    """How many trials ended how, in all and by noise scale."""

    counts: dict[str, int]
    """State → trials; the keys of `STATES`, in their order."""
    noise_scale: Floats
    """Places of the bars (bars,): the noise scales tried, or if they are many the middles of equal log bins."""
    by_noise: dict[str, Floats]
    """State → trials per bar (bars,), as far as they have records."""


def health_info(curve: GainCurve | None, trials: pd.DataFrame) -> HealthInfo:
    """Return the states of the trials of `curve`, and how many of all trials failed or run.

    Args:
        curve: the trials with records; None if there are none.
        trials: the whole run's, as from `read_trials`.
    """
    unfinished = {state: int((trials["status"] == state).sum()) for state in ("failed", "running")}
    if curve is None or not len(curve):
        return HealthInfo(dict.fromkeys(STATES, 0) | unfinished, np.array([]), {})
    states = _states(curve, trials)
    counts = {state: int((states == state).sum()) for state in STATES} | unfinished
    places, index = np.unique(curve.noise_scale, return_inverse=True)
    if len(places) > MOST_BARS:
        edges = np.geomspace(places[0], places[-1], MOST_BARS + 1)
        index = np.clip(np.searchsorted(edges, curve.noise_scale, side="right") - 1, 0, MOST_BARS - 1)
        places = np.sqrt(edges[1:] * edges[:-1])
    by_noise = {state: np.bincount(index, states == state, len(places)).astype(float) for state in STATES}
    return HealthInfo(counts, places, by_noise)


def _states(curve: GainCurve, trials: pd.DataFrame) -> Strings:
    unfinished = trials[trials["status"].isin(["failed", "running"])].set_index("trial")["status"].to_dict()
    named = pd.Series(curve.status).replace({"at_chance": "at chance", "low": "too inaccurate"}).to_numpy()
    named = np.where((curve.status == "ok") & (curve.collapsed > 0), "partly collapsed", named)
    return np.array(
        [unfinished.get(trial, state) for trial, state in zip(curve.trial, named, strict=True)], object
    )


def plot_health(info: HealthInfo) -> style.Spec:
    """Return stacked bars: trials by noise scale, coloured and patterned by what became of them."""
    places = [style.number(centre, 2) for centre in info.noise_scale]
    data = [
        {
            "type": "bar",
            "x": places,
            "y": heights,
            "name": state,
            "marker": {"color": STATES[state][0], "pattern": {"shape": STATES[state][1], "solidity": 0.25}},
            "hovertemplate": style.hover(S="%{x}", trials="%{y}", state=state),
        }
        for state, heights in info.by_noise.items()
        if heights.any()
    ]
    highest = sum(info.by_noise.values(), np.zeros(len(places))).max(initial=0.0)
    trials = style.titled("trials", dtick=max(1, round(highest / 5)))
    scale = style.titled(style.LABELS["noise_scale"], type="category")
    return style.panels(data, [scale], [trials], height=320, barmode="stack", bargap=0.08)
