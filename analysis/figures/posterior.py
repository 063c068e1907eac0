"""Where the gain peaks: the posterior of S*."""

from dataclasses import dataclass

import numpy as np

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.figures.noise import peak_shapes
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
    reached = np.append(places, np.log10([point.low, point.high]))
    count, edges = np.histogram(places, BINS, (np.nanmin(reached), np.nanmax(reached)))
    return PosteriorInfo(10**edges, count / len(places), point)


def plot_posterior(info: PosteriorInfo) -> style.Spec:
    """Return the histogram of S*, with its 95% interval as a band and S* as a dashed line."""
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
    x = style.titled("S*, the noise scale at which the gain peaks", type="log")
    y = style.titled("posterior probability (%)", rangemode="tozero")
    return style.panels([stairs], [x], [y], height=440, shapes=peak_shapes(info.point, **style.on(0)))
