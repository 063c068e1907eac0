"""Several runs on one noise axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.figures.marks import curve_frame, legend_mark, mark_trace, marks
from analysis.figures.noise import peak_shapes, posterior_traces
from analysis.table import GainCurve


@dataclass(frozen=True)
class OverlayInfo:
    """The trials and the peak of each run, for one metric."""

    metric: str
    runs: tuple[tuple[str, pd.DataFrame, CriticalPoint | None], ...]
    """Name of each run, its rows of `marks`, and its critical point."""


def overlay_info(metric: str, curves: Sequence[tuple[str, GainCurve, CriticalPoint | None]]) -> OverlayInfo:
    """Return the numbers of runs whose objective is `metric`."""
    return OverlayInfo(
        metric, tuple((name, marks(curve_frame(curve)), point) for name, curve, point in curves)
    )


def plot_overlay(info: OverlayInfo) -> style.Spec:
    """Return every run's trials, posterior curve, S* and interval in a colour and shape of its own."""
    data, shapes = [], []
    gains = np.concatenate([table["gain"].dropna() for _, table, _ in info.runs])
    bottom, top = style.gain_range(gains)
    styles = style.style_by(range(len(info.runs)))
    for index, (name, table, point) in enumerate(info.runs):
        colour, symbol = styles[index]
        group = {"legendgroup": f"{index}"}
        if point is not None:
            tint = style.faint(colour)
            curves = posterior_traces(point, colour, tint, name=name)
            data += [curve | group | {"showlegend": False} for curve in curves]
            shapes += peak_shapes(point, "x", "y", colour, tint)
        data.append(mark_trace(table, "noise_scale", "gain", info.metric, (colour, symbol), bottom) | group)
        data.append(legend_mark(name, (colour, symbol)) | group)
    scale = style.titled(style.LABELS["noise_scale"], type="log")
    gain = style.titled(style.gain_label(info.metric), range=[bottom - 0.06 * (top - bottom), top])
    return style.panels(data, [scale], [gain], height=460, shapes=shapes)
