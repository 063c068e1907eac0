"""Figure 1: the same gains against learning rate, batch size, and the noise scale on which they align."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.critical_point import CriticalPoint
from analysis.figures import style
from analysis.table import Floats, GainCurve, Selection

PANELS = ["lr", "batch_size", "noise_scale"]


@dataclass(frozen=True)
class NoiseInfo:
    """The numbers of Figure 1."""

    selection: Selection
    curves: dict[int, GainCurve]
    """Batch size → its trials, ordered by noise scale."""
    point: CriticalPoint | None
    bottom: float
    """Where trials without a gain are drawn, and those whose gain is lower."""
    top: float


def noise_info(curve: GainCurve, point: CriticalPoint | None, selection: Selection) -> NoiseInfo:
    """Return the trials of `curve` by batch size, with the range of the gain axis."""
    sizes = sorted({int(size) for size in curve.batch_size})
    bottom, top = style.gain_range(curve.gain[np.isfinite(curve.gain)])
    return NoiseInfo(
        selection, {size: curve.where(curve.batch_size == size) for size in sizes}, point, bottom, top
    )


def mean_by(x: Floats, curve: GainCurve) -> tuple[Floats, Floats]:
    """Return the distinct `x` of trials of status ok, and the mean gain at each."""
    ok = curve.status == "ok"
    places, index = np.unique(x[ok], return_inverse=True)
    return places, np.bincount(index, curve.gain[ok]) / np.bincount(index) if ok.any() else places


def plot_noise(info: NoiseInfo) -> go.Figure:
    """Return three panels with a common gain axis; one colour and shape per batch size.

    Open markers are trials at chance; at the bottom, crosses have diverged, and other marks lie lower. The
    third panel shows the posterior curve with its 95% band, and S* with its interval.
    """
    figure = make_subplots(1, 3, shared_yaxes=True, horizontal_spacing=0.025)
    if info.point is not None:
        _draw_posterior(figure, info.point)
    styles = style.style_by(info.curves)
    for size, curve in info.curves.items():
        colour, symbol = styles[size]
        for column, axis in enumerate(PANELS, start=1):
            if axis != "batch_size":
                places, means = mean_by(getattr(curve, axis), curve)
                line = go.Scatter(
                    x=places, y=means, mode="lines", line={"color": colour, "width": 1}, opacity=0.5,
                    hoverinfo="skip", showlegend=False, legendgroup=f"{size}",
                )  # fmt: skip
                figure.add_trace(line, row=1, col=column)
            figure.add_trace(_trials(info, size, axis, colour, symbol), row=1, col=column)
        # The legend would show the shape of the first trial, which may have diverged.
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker={"color": colour, "symbol": symbol, "size": 8},
            name=f"B = {size}", legendgroup=f"{size}",
        )  # fmt: skip
    for column, axis in enumerate(PANELS, start=1):
        values = np.concatenate([getattr(curve, axis) for curve in info.curves.values()])
        figure.update_xaxes(title=style.LABELS[axis], **style.log_axis(values), row=1, col=column)
    figure.update_xaxes(
        tickvals=list(info.curves), ticktext=[f"{size}" for size in info.curves], row=1, col=2
    )
    span = info.top - info.bottom
    figure.update_yaxes(range=[info.bottom - 0.06 * span, info.top], zeroline=True)
    figure.update_yaxes(title=style.gain_label(info.selection.metric), row=1, col=1)
    return style.finish(figure, height=440)


def _trials(info: NoiseInfo, size: int, axis: str, colour: str, symbol: str) -> go.Scatter:
    curve, unit = info.curves[size], style.UNITS.get(info.selection.metric, "")
    shown = curve.gain > info.bottom
    marks = {"ok": symbol, "at_chance": f"{symbol}-open", "diverged": "x-thin-open"}
    gains = [
        f"{gain:+.3g} ± {sem:.2g} {unit}" if np.isfinite(gain) else "–"
        for gain, sem in zip(curve.gain, curve.sem, strict=True)
    ]
    states = [
        status.replace("_", " ") + (f", {100 * share:.0f}% of pairs collapsed" if 0 < share < 1 else "")
        for status, share in zip(curve.status, curve.collapsed, strict=True)
    ]
    rates, scales = map(style.number, curve.lr), map(style.number, curve.noise_scale)
    return go.Scatter(
        x=getattr(curve, axis),
        y=np.where(shown, curve.gain, info.bottom),
        error_y={"array": np.where(shown, curve.sem, np.nan), "color": colour, "thickness": 1, "width": 0},
        mode="markers",
        marker={
            "color": colour,
            "size": 8,
            "symbol": [marks[status] for status in curve.status],
            "line": {"width": 1.5, "color": colour},
        },
        legendgroup=f"{size}",
        showlegend=False,
        customdata=list(zip(curve.trial, scales, rates, gains, states, strict=True)),
        hovertemplate=style.hover(
            trial="%{customdata[0]}",
            S="%{customdata[1]}",
            lr=f"%{{customdata[2]}}, B {size}",
            gain="%{customdata[3]}",
            status="%{customdata[4]}",
        ),
    )


def _draw_posterior(figure: go.Figure, point: CriticalPoint) -> None:
    curve = point.curve
    figure.add_scatter(
        x=np.concatenate([curve.noise_scale, curve.noise_scale[::-1]]),
        y=np.concatenate([curve.high, curve.low[::-1]]),
        fill="toself", fillcolor=style.BAND, line={"width": 0}, mode="lines", hoverinfo="skip",
        name="curve, 95% band", legendgroup="posterior", row=1, col=3,
    )  # fmt: skip
    figure.add_scatter(
        x=curve.noise_scale, y=curve.mean, mode="lines", line={"color": style.MUTED, "width": 2}, hoverinfo="skip",
        showlegend=False, legendgroup="posterior", row=1, col=3,
    )  # fmt: skip
    figure.add_vrect(
        x0=point.low, x1=point.high, fillcolor=style.PEAK, line_width=0, layer="below", row=1, col=3
    )
    figure.add_vline(
        x=point.noise_scale, line={"color": style.PEAK_LINE, "width": 1.5, "dash": "dash"}, row=1, col=3
    )
