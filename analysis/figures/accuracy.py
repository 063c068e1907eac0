"""Figures 2 (bottom) and 13: what merging gains against how good the single networks are."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.figures import style
from analysis.table import Floats, Selection, Strings


@dataclass(frozen=True)
class SingleInfo:
    """One entry per pair of status ok; all arrays have shape (pairs,)."""

    metric: str
    single: Floats
    """Mean of the pair's endpoints in the metric, in percent or nats."""
    gain: Floats
    noise_scale: Floats
    lr: Floats
    batch_size: NDArray[np.int64]
    epoch: Floats
    opacity: Floats
    """From .25 at the earliest branch point to 1 at the latest."""
    trial: Strings


def single_info(table: pd.DataFrame, selection: Selection) -> SingleInfo:
    """Return gain against the endpoints' own metric, pair by pair.

    Raises:
        ValueError: if nothing is selected.
    """
    rows = selection.rows(table)
    rows = rows[rows["status"] == "ok"]
    epoch = rows["branch_epoch"].to_numpy(np.float64)
    first, last = (epoch.min(), epoch.max()) if len(epoch) else (0.0, 0.0)
    age = (epoch - first) / (last - first) if last > first else np.ones_like(epoch)
    return SingleInfo(
        selection.metric,
        single=rows["f_mean"].to_numpy(np.float64),
        gain=rows["gain"].to_numpy(np.float64),
        noise_scale=rows["noise_scale"].to_numpy(np.float64),
        lr=rows["lr"].to_numpy(np.float64),
        batch_size=rows["batch_size"].to_numpy(np.int64),
        epoch=epoch,
        opacity=0.25 + 0.75 * age,
        trial=rows["trial"].to_numpy(object),
    )


def plot_single(info: SingleInfo) -> go.Figure:
    """Return a scatter: colour is the noise scale, shape the batch size, opacity the branch epoch."""
    figure = go.Figure()
    log_s = np.log10(info.noise_scale)
    decades = np.arange(np.floor(log_s.min()), np.ceil(log_s.max()) + 1) if len(log_s) else np.array([0.0])
    bar = {
        "title": "S",
        "tickvals": decades,
        "ticktext": [style.number(10.0**d) for d in decades],
        "thickness": 12,
    }
    styles = style.style_by(info.batch_size.tolist())
    for size, (_, symbol) in styles.items():
        chosen = info.batch_size == size
        details = [
            [trial, style.number(s), style.number(lr), f"{epoch:g}"]
            for trial, s, lr, epoch in zip(
                info.trial[chosen], info.noise_scale[chosen], info.lr[chosen], info.epoch[chosen], strict=True
            )
        ]
        figure.add_scatter(
            x=info.single[chosen],
            y=info.gain[chosen],
            mode="markers",
            marker={
                "symbol": symbol,
                "size": 9,
                "color": log_s[chosen],
                "colorscale": "Cividis",
                "cmin": decades[0],
                "cmax": decades[-1],
                "colorbar": bar,
                "showscale": bool(size == max(styles)),
                "opacity": info.opacity[chosen],
                "line": {"width": 0.5, "color": style.MUTED},
            },
            name=f"B = {size}",
            customdata=details,
            hovertemplate=style.hover(
                trial="%{customdata[0]}",
                S=f"%{{customdata[1]}}, lr %{{customdata[2]}}, B {size}",
                epoch="%{customdata[3]}",
                single="%{x:.4g}",
                gain="%{y:+.3g}",
            ),
        )
    figure.update_xaxes(title=f"{info.metric} of the single networks ({style.UNITS.get(info.metric, '')})")
    figure.update_yaxes(title=style.gain_label(info.metric), range=style.gain_range(info.gain))
    return style.finish(figure)
