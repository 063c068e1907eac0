"""How the posterior of S* narrowed while trials came in, and what it cost."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.critical_point import FEWEST_TRIALS
from analysis.figures import style
from analysis.table import Floats, GainCurve
from analysis.verdict import find_peak

MOST_STEPS, STEPS_OF_MANY, MANY = 12, 8, 200


@dataclass(frozen=True)
class TraceInfo:
    """The search as it was after some of its trials; all arrays have shape (steps,)."""

    trials: Floats
    """Finished by then, in the order in which they ended."""
    median: Floats
    """Of the posterior of S*."""
    low: Floats
    high: Floats
    mass: Floats
    """Posterior probability that S* lies within a factor `within` of the median."""
    epochs: Floats
    """Trained by then."""
    within: float
    enough: float
    """The mass at which an adaptive search stops."""


def trace_info(
    curve: GainCurve, trials: pd.DataFrame, within: float = 1.25, enough: float = 0.95
) -> TraceInfo | None:
    """Return the posterior after growing numbers of finished trials, at most `MOST_STEPS` of them.

    None if there are too few trials for any.

    Args:
        curve: the trials with records.
        trials: the whole run's, as from `read_trials`.
        within: see `TraceInfo`.
        enough: see `TraceInfo`.
    """
    ended = trials[trials["status"].isin(["ok", "diverged", "at_chance"])].sort_values("time")
    ended = ended[ended["trial"].isin(curve.trial)]
    if len(ended) < FEWEST_TRIALS:
        return None
    steps = MOST_STEPS if len(ended) <= MANY else STEPS_OF_MANY
    counts = np.unique(np.linspace(FEWEST_TRIALS, len(ended), steps).round().astype(int))
    place = pd.Series(range(len(ended)), index=ended["trial"]).reindex(curve.trial).to_numpy()
    found = []
    for count in counts:
        try:
            point = find_peak(curve.where(place < count))
        except ValueError:
            # None of the first trials had a gain.
            continue
        median = np.median(point.draws)
        mass = np.mean(np.abs(np.log(point.draws / median)) <= np.log(within))
        low, high = np.quantile(point.draws, [0.025, 0.975])
        found.append((count, median, low, high, mass, ended["epochs_trained"].head(count).sum()))
    if not found:
        return None
    numbers, medians, lows, highs, masses, epochs = np.array(found, np.float64).T
    return TraceInfo(numbers, medians, lows, highs, masses, epochs, within, enough)


def plot_trace(info: TraceInfo) -> style.Spec:
    """Return three panels over the number of finished trials: posterior of S*, stopping mass, epochs."""
    colour, _ = style.style_by([0])[0]
    line = {"type": "scatter", "mode": "lines+markers", "line": {"color": colour}, "showlegend": False}
    band = {
        "type": "scatter", "x": np.concatenate([info.trials, info.trials[::-1]]),
        "y": np.concatenate([info.high, info.low[::-1]]), "fill": "toself", "fillcolor": style.BAND, "mode": "lines",
        "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    ends = np.stack([info.low, info.high], axis=1)
    data = [
        band,
        {
            **line, "x": info.trials, "y": info.median, "customdata": ends,
            "hovertemplate": style.hover(
                trials="%{x}", median="%{y:.3g}", interval="%{customdata[0]:.3g} to %{customdata[1]:.3g}"
            ),
        },
        {
            **line, "x": info.trials, "y": info.mass, **style.on(1),
            "hovertemplate": style.hover(trials="%{x}", mass="%{y:.2f}"),
        },
        {
            **line, "x": info.trials, "y": info.epochs, **style.on(2),
            "hovertemplate": style.hover(trials="%{x}", epochs="%{y:,.0f}"),
        },
    ]  # fmt: skip
    stop = {
        "type": "line", "xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1, "y0": info.enough, "y1": info.enough,
        "line": {"color": style.PEAK_LINE, "width": 1.5, "dash": "dash"},
    }  # fmt: skip
    axes = [style.titled("finished trials", rangemode="tozero")] * 3
    return style.panels(
        data,
        axes,
        [
            style.titled("S*: median, 95% band", type="log", nticks=6),
            style.titled(f"mass within ×{info.within:g}", range=[0, 1.03]),
            style.titled("epochs trained", rangemode="tozero"),
        ],
        height=340,
        gap=0.08,
        shapes=[stop],
    )
