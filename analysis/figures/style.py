"""What all figures share: colours and shapes, axis labels, layout, and the mode bar.

Backgrounds are transparent and grid lines half-transparent grey, so that one figure suits light and dark pages.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a8a"]
"""Okabe and Ito's colours, told apart with any colour vision; grey in place of black and yellow."""
SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "hexagon"]
"""One shape per setting beside its colour; with 7 colours and 8 shapes, 56 settings differ."""
BAND, PEAK, GRID, MUTED = "rgba(128,128,128,0.28)", "rgba(213,94,0,0.16)", "rgba(128,128,128,0.22)", "#8a8a8a"
PEAK_LINE = "#d55e00"

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendChartToCloud", "select2d", "lasso2d"],
    "responsive": True,
    "toImageButtonOptions": {"format": "svg"},
}
"""Plotly's configuration: no cloud button, no logo, vector images."""

LABELS = {
    "lr": "learning rate",
    "batch_size": "batch size B",
    "momentum": "momentum μ",
    "weight_decay": "weight decay λ",
    "augment": "augmentation",
    "noise_scale": "noise scale S = lr / (B (1 − μ))",
}
UNITS = {"accuracy": "%", "loss": "nats"}


def gain_label(metric: str) -> str:
    """Return the axis title of a gain."""
    return f"{metric} gain ({UNITS.get(metric, metric)})"


def number(value: float, digits: int = 3) -> str:
    """Return `value` to `digits` significant digits, without an exponent where that is short.

    >>> number(0.0156251), number(2.3e-05), number(1234.5)
    ('0.0156', '2.3e-05', '1234')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def describe(context: Mapping[str, Any]) -> str:
    """Return what sets an experiment apart as one line.

    >>> describe({"model": "mlp", "weight_decay": 0.0005})
    'model mlp, weight decay 0.0005'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in context.items())


def style_by(values: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """Return value → (colour, marker shape) in sorted order, the same for the same set of values."""
    return {
        value: (colour, symbol)
        for value, colour, symbol in zip(sorted(set(values)), cycle(PALETTE), cycle(SYMBOLS), strict=False)
    }


def finish(figure: go.Figure, height: int = 420, **layout: Any) -> go.Figure:
    """Return `figure` with the house layout; keywords are Plotly's."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 64, "r": 16, "t": 40, "b": 64},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": PEAK_LINE},
        **layout,
    )
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": MUTED,
        "linecolor": GRID,
        "automargin": True,
        "exponentformat": "e",
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def hover(**lines: str) -> str:
    """Return a hover template of `name: value` lines; a value is Plotly's, such as %{x:.3g}."""
    return (
        "<br>".join(f"{name.replace('_', ' ')} {value}" for name, value in lines.items()) + "<extra></extra>"
    )


def gain_range(gains: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of a gain axis, with some room: from no lower than minus half of the largest gain.

    A merge that fails by far would flatten all others.
    """
    if not len(gains):
        return 0.0, 1.0
    low, high = float(np.min(gains)), float(np.max(gains))
    low = max(low, -0.5 * high) if high > 0 else low
    room = 0.12 * (high - low or abs(high) or 1.0)
    return low - room, high + room


def log_axis(values: Iterable[float]) -> Mapping[str, str]:
    """Return the axis keywords for `values`: logarithmic unless one isn't positive."""
    return {"type": "log" if all(value > 0 for value in values) else "linear"}
