"""Figure 1: the same gains against learning rate, batch size, and the noise scale on which they align."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.figures.marks import curve_frame, legend_mark, mark_trace, marks
from analysis.table import Floats, GainCurve, Selection

PANELS = ["lr", "batch_size", "noise_scale"]


@dataclass(frozen=True)
class NoiseInfo:
    """The numbers of Figure 1."""

    selection: Selection
    marks: dict[int, pd.DataFrame]
    """Batch size → its rows of `marks`, ordered by noise scale."""
    point: CriticalPoint | None
    bottom: float
    """Where trials without a gain are drawn, and those whose gain is lower."""
    top: float


def noise_info(curve: GainCurve, point: CriticalPoint | None, selection: Selection) -> NoiseInfo:
    """Return the trials of `curve` by batch size, with the range of the gain axis."""
    table = marks(curve_frame(curve))
    bottom, top = style.gain_range(table["gain"].dropna().to_numpy())
    return NoiseInfo(
        selection, {int(str(size)): part for size, part in table.groupby("batch_size")}, point, bottom, top
    )


def mean_by(table: pd.DataFrame, x: str, y: str) -> tuple[Floats, Floats]:
    """Return the distinct `x` of rows of status ok, and the mean `y` at each."""
    means = table[table["status"] == "ok"].groupby(x)[y].mean()
    return means.index.to_numpy(np.float64), means.to_numpy(np.float64)


def plot_noise(info: NoiseInfo) -> style.Spec:
    """Return three panels with a common gain axis; one colour and shape per batch size.

    Open markers are trials at chance; at the bottom, crosses have diverged, and other marks lie lower. The
    third panel shows the posterior curve with its 95% band, and S* with its interval.
    """
    third = style.on(2)
    data = [] if info.point is None else posterior_traces(info.point, **third)
    styles = style.style_by(info.marks)
    for size, table in info.marks.items():
        for panel, axis in enumerate(PANELS):
            if axis != "batch_size":
                data.append(
                    mean_line(table, axis, "gain", styles[size][0])
                    | style.on(panel)
                    | {"legendgroup": f"{size}"}
                )
            trace = mark_trace(table, axis, "gain", info.selection.metric, styles[size], info.bottom)
            data.append(trace | style.on(panel) | {"legendgroup": f"{size}"})
        data.append(legend_mark(f"B = {size}", styles[size]) | {"legendgroup": f"{size}"})
    tables = info.marks.values()
    axes = [
        style.titled(style.LABELS[axis], **style.log_axis(np.concatenate([table[axis] for table in tables])))
        for axis in PANELS
    ]
    axes[1] |= {"tickvals": list(info.marks), "ticktext": [f"{size}" for size in info.marks]}
    span = info.top - info.bottom
    gain = style.titled(style.gain_label(info.selection.metric), range=[info.bottom - 0.06 * span, info.top])
    shapes = [] if info.point is None else peak_shapes(info.point, **third)
    return style.panels(data, axes, [gain], height=440, shapes=shapes)


def mean_line(table: pd.DataFrame, x: str, y: str, colour: str) -> style.Spec:
    """Return a thin line through the mean `y` at each `x`."""
    places, means = mean_by(table, x, y)
    return {
        "type": "scatter", "x": places, "y": means, "mode": "lines", "line": {"color": colour, "width": 1},
        "opacity": 0.5, "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def posterior_traces(
    point: CriticalPoint,
    colour: str = style.MUTED,
    fill: str = style.BAND,
    name: str = "curve, 95% band",
    **axes: str,
) -> list[style.Spec]:
    """Return the posterior curve of the gain and its 95% band."""
    curve = point.curve
    common = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "legendgroup": name, **axes}
    outline = {
        "x": np.concatenate([curve.noise_scale, curve.noise_scale[::-1]]),
        "y": np.concatenate([curve.high, curve.low[::-1]]),
    }
    return [
        {**common, **outline, "fill": "toself", "fillcolor": fill, "line": {"width": 0}, "name": name},
        {
            **common,
            "x": curve.noise_scale,
            "y": curve.mean,
            "line": {"color": colour, "width": 2},
            "showlegend": False,
        },
    ]


def peak_shapes(
    point: CriticalPoint, xaxis: str, yaxis: str, colour: str = style.PEAK_LINE, fill: str = style.PEAK
) -> list[Mapping[str, Any]]:
    """Return S* as a dashed line, and its 95% interval as a shaded rectangle; nothing where no peak is found."""
    if not point.hump:
        return []
    height = {"xref": xaxis, "yref": f"{yaxis} domain", "y0": 0, "y1": 1}
    shade = {"fillcolor": fill, "line": {"width": 0}, "layer": "below"}
    dashed = {"color": colour, "width": 1.5, "dash": "dash"}
    return [
        {"type": "rect", "x0": point.low, "x1": point.high, **shade, **height},
        {"type": "line", "x0": point.noise_scale, "x1": point.noise_scale, "line": dashed, **height},
    ]
