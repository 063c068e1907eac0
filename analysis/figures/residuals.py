"""What is left of the gain once the common curve over the noise scale is taken away, by batch size."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.figures.marks import curve_frame, legend_mark, mark_trace, marks
from analysis.figures.noise import mean_line
from analysis.table import Floats, GainCurve, Selection


@dataclass(frozen=True)
class ResidualInfo:
    """Marks of trials of status ok with their residual, and its mean by batch size."""

    selection: Selection
    marks: dict[int, pd.DataFrame]
    """Batch size → rows of `marks`, with column `residual`: gain less the common curve at its noise scale."""
    means: pd.DataFrame
    """Indexed by batch size: mean and sem of the residual over trials."""


def residual_info(curve: GainCurve, point: CriticalPoint, selection: Selection) -> ResidualInfo:
    """Return how far the trials of `curve` lie above the curve of `point`, where that is above zero."""

    def expected(noise_scale: Floats) -> Floats:
        return np.interp(np.log(noise_scale), np.log(point.curve.noise_scale), point.curve.mean)

    # Past the fall, where every second network dies, residuals are large and say nothing of the batch size.
    trials = curve_frame(curve.where((curve.status == "ok") & (expected(curve.noise_scale) > 0)))
    table = marks(trials)
    table["residual"] = table["gain"] - expected(table["noise_scale"].to_numpy())
    residual = trials["gain"] - expected(trials["noise_scale"].to_numpy())
    means = residual.groupby(trials["batch_size"]).agg(["mean", "sem"])
    return ResidualInfo(
        selection, {int(str(size)): part for size, part in table.groupby("batch_size")}, means
    )


def plot_residuals(info: ResidualInfo) -> style.Spec:
    """Return residuals against noise scale, and their means by batch size: both flat where the collapse holds."""
    styles = style.style_by(info.marks)
    data = []
    values = np.concatenate([table["residual"] for table in info.marks.values()])
    low, high = float(values.min()), float(values.max())
    room = 0.1 * (high - low or 1.0)
    for size, table in info.marks.items():
        group = {"legendgroup": f"{size}"}
        colour, symbol = styles[size]
        data.append(mean_line(table, "noise_scale", "residual", colour) | group)
        data.append(
            mark_trace(table, "noise_scale", "residual", info.selection.metric, styles[size], low - room)
            | group
        )
        data.append(legend_mark(f"B = {size}", styles[size]) | group)
        centre, error = info.means.loc[size].to_numpy(np.float64)
        mean = {
            "type": "scatter", "x": [size], "y": [centre], "mode": "markers",
            "error_y": {"type": "data", "array": [1.96 * error], "color": colour, "thickness": 1.5},
            "marker": {"color": colour, "symbol": symbol, "size": 10}, "showlegend": False,
            "hovertemplate": style.hover(B="%{x}", mean_residual="%{y:+.3g} ± %{error_y.array:.2g}"),
        }  # fmt: skip
        data.append(mean | style.on(1) | group)
    sizes = list(info.marks)
    scale = style.titled(style.LABELS["noise_scale"], type="log")
    batch = style.titled(
        style.LABELS["batch_size"], type="log", tickvals=sizes, ticktext=[f"{size}" for size in sizes]
    )
    gain = style.titled(
        f"{style.gain_label(info.selection.metric)} less the curve", range=[low - room, high + room]
    )
    return style.panels(data, [scale, batch], [gain], height=360)
