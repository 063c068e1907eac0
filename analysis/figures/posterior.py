"""Where the gain peaks: the posterior of S*."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.table import Floats

BINS = 40


@dataclass(frozen=True)
class PosteriorInfo:
    """The numbers of the histogram."""

    edges: Floats
    """Of the bins (BINS + 1,): noise scales, equally spaced in the logarithm."""
    share: Floats
    """Of the draws in each bin (BINS,), in [0, 1]."""
    point: CriticalPoint


def posterior_info(point: CriticalPoint) -> PosteriorInfo:
    """Return the share of the draws of S* in bins over all that the draws and the interval span."""
    places = np.log10(point.draws)
    ends = np.log10([point.low, point.high])
    count, edges = np.histogram(places, BINS, (min(ends[0], places.min()), max(ends[1], places.max())))
    return PosteriorInfo(10**edges, count / len(places), point)


def plot_posterior(info: PosteriorInfo) -> dict[str, Any]:
    """Return the histogram of S*, with its 95% interval as a band and S* as a dashed line, as Plotly's JSON."""
    point, height = info.point, {"yref": "paper", "y0": 0, "y1": 1}
    band = {"type": "rect", "x0": point.low, "x1": point.high, "fillcolor": style.PEAK, "line": {"width": 0}}
    dashed = {"color": style.PEAK_LINE, "width": 1.5, "dash": "dash"}
    # Bars of equal width in the logarithm are a staircase; the last share closes it.
    stairs = {
        "type": "scatter",
        "mode": "lines",
        "x": info.edges,
        "y": 100 * np.append(info.share, info.share[-1]),
        "line": {"shape": "hv", "color": style.PALETTE[0], "width": 1},
        "fill": "tozeroy",
        "hovertemplate": style.hover(S="from %{x:.3g}", posterior="%{y:.1f}%"),
    }
    axis = {"gridcolor": style.GRID, "linecolor": style.GRID, "automargin": True, "exponentformat": "e"}
    layout = {
        "xaxis": {**axis, "type": "log", "title": {"text": "S*, the noise scale at which the gain peaks"}},
        "yaxis": {**axis, "rangemode": "tozero", "title": {"text": "posterior probability (%)"}},
        "shapes": [
            {**band, **height, "layer": "below"},
            {"type": "line", "x0": point.noise_scale, "x1": point.noise_scale, "line": dashed, **height},
        ],
        "height": 440,
        "margin": {"l": 64, "r": 16, "t": 40, "b": 64},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
    }
    return {"data": [stairs], "layout": layout}
