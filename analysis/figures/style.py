"""What all figures share: colours and shapes, axis labels, layout, and the mode bar.

Backgrounds are transparent and grid lines half-transparent grey, so that one figure suits light and dark pages.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a8a"]
"""Okabe and Ito's colours, told apart with any colour vision; grey in place of black and yellow."""
SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "hexagon"]
"""One shape per setting beside its colour; with 7 colours and 8 shapes, 56 settings differ."""
BAND, PEAK, GRID, MUTED = "rgba(128,128,128,0.28)", "rgba(213,94,0,0.16)", "rgba(128,128,128,0.22)", "#8a8a8a"
PEAK_LINE = "#d55e00"

Spec = dict[str, Any]
"""A Plotly figure, trace or layout as a plain dict. `plotly.graph_objects.Figure(spec)` checks it, which takes
longer than all else in a report: the tests do."""

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendChartToCloud", "toImage", "select2d", "lasso2d"],
    "responsive": True,
}
"""Plotly's configuration: no cloud button, no logo; the page adds buttons for SVG and PNG."""

AXIS = {
    "gridcolor": GRID,
    "zerolinecolor": MUTED,
    "linecolor": GRID,
    "automargin": True,
    "exponentformat": "e",
}

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


def subscript(count: int) -> str:
    """Return `count` in subscript digits.

    >>> subscript(12)
    '₁₂'
    """
    return f"{count}".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def style_by(values: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """Return value → (colour, marker shape) in sorted order, the same for the same set of values."""
    return {
        value: (colour, symbol)
        for value, colour, symbol in zip(sorted(set(values)), cycle(PALETTE), cycle(SYMBOLS), strict=False)
    }


def faint(colour: str) -> str:
    """Return a hexadecimal colour as a tint that lets what lies below show through.

    >>> faint("#0072b2")
    'rgba(0,114,178,0.15)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def panels(
    data: Sequence[Spec],
    x: Sequence[Mapping[str, Any]],
    y: Sequence[Mapping[str, Any]],
    height: int = 420,
    gap: float = 0.025,
    titles: Sequence[str] = (),
    **layout: Any,
) -> Spec:
    """Return panels in one row, with the house layout; other keywords are Plotly's.

    Args:
        data: traces; each says its panel with `on`.
        x: axis of each panel.
        y: axis of each panel, or one that all share.
        height: in pixels.
        gap: between panels, as a share of the width.
        titles: above the panels.
        layout: further fields of Plotly's layout.
    """
    width = (1 - gap * (len(x) - 1)) / len(x)
    annotations = []
    for index, axis in enumerate(x):
        suffix = "" if index == 0 else f"{index + 1}"
        left = index * (width + gap)
        shared = {k: v for k, v in y[0].items() if k != "title"} | {"matches": "y", "showticklabels": False}
        vertical = y[index] if index < len(y) else shared
        layout[f"xaxis{suffix}"] = {**AXIS, "domain": [left, left + width], "anchor": f"y{suffix}", **axis}
        layout[f"yaxis{suffix}"] = {**AXIS, "anchor": f"x{suffix}", **vertical}
        if any(titles):
            place = {"x": left + width / 2, "y": 1, "xanchor": "center", "yanchor": "bottom"}
            annotations.append(
                {"text": titles[index], "xref": "paper", "yref": "paper", "showarrow": False, **place}
            )
    house = {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 40, "b": 64},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": PEAK_LINE},
    }
    return {
        "data": list(data),
        "layout": house | ({"annotations": annotations} if annotations else {}) | layout,
    }


def on(panel: int) -> dict[str, str]:
    """Return the axes of a panel, counted from 0."""
    suffix = "" if panel == 0 else f"{panel + 1}"
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def titled(text: str, **axis: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": text}, **axis}


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
