"""Figures 2 (bottom) and 13: what merging gains against how good the single networks are."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.figures import style
from analysis.table import Floats, Selection, Strings

MOST_PAIRS, MOST_TRIALS = 4000, 2000


@dataclass(frozen=True)
class SingleInfo:
    """One entry per pair of status ok, or of many pairs per trial and then a share of them; shapes are (entries,)."""

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
    pairs: int
    """Of status ok."""


def single_info(table: pd.DataFrame, selection: Selection) -> SingleInfo:
    """Return gain against the endpoints' own metric, pair by pair.

    More than `MOST_PAIRS` are averaged by trial; of more than `MOST_TRIALS` trials, every so-manieth on the noise
    axis is kept.

    Raises:
        ValueError: if nothing is selected.
    """
    rows = selection.rows(table)
    rows = rows[rows["status"] == "ok"]
    pairs = len(rows)
    if pairs > MOST_PAIRS:
        wanted = ["f_mean", "gain", "noise_scale", "lr", "batch_size", "branch_epoch"]
        rows = (
            rows.groupby("trial", as_index=False)[wanted].mean().sort_values("noise_scale", ignore_index=True)
        )
        rows = rows.iloc[:: math.ceil(len(rows) / MOST_TRIALS)]
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
        pairs=pairs,
    )


def plot_single(info: SingleInfo) -> style.Spec:
    """Return a scatter: colour is the noise scale, shape the batch size, opacity the branch epoch."""
    log_s = np.log10(info.noise_scale)
    decades = np.arange(np.floor(log_s.min()), np.ceil(log_s.max()) + 1) if len(log_s) else np.array([0.0])
    bar = {
        "title": {"text": "S"},
        "tickvals": decades.tolist(),
        "ticktext": [style.number(10.0**d) for d in decades],
        "thickness": 12,
    }
    styles = style.style_by(info.batch_size.tolist())
    data = []
    for size, (_, symbol) in styles.items():
        chosen = info.batch_size == size
        details = [
            [style.number(s), style.number(lr), f"{epoch:g}"]
            for s, lr, epoch in zip(
                info.noise_scale[chosen], info.lr[chosen], info.epoch[chosen], strict=True
            )
        ]
        marker = {
            "symbol": symbol,
            "size": 9,
            "color": log_s[chosen],
            "colorscale": "Cividis",
            "cmin": decades[0],
            "cmax": decades[-1],
            "showscale": bool(size == max(styles)),
            "colorbar": bar,
            "opacity": info.opacity[chosen],
            "line": {"width": 0.5, "color": style.MUTED},
        }
        data.append(
            {
                "type": "scatter",
                "x": info.single[chosen],
                "y": info.gain[chosen],
                "mode": "markers",
                "marker": marker,
                "name": f"B = {size}",
                "text": info.trial[chosen].tolist(),
                "customdata": details,
                "hovertemplate": style.hover(
                    trial="%{text}",
                    S=f"%{{customdata[0]}}, lr %{{customdata[1]}}, B {size}",
                    epoch="%{customdata[2]}",
                    single="%{x:.4g}",
                    gain="%{y:+.3g}",
                ),
            }
        )
    single = style.titled(f"{info.metric} of the single networks ({style.UNITS.get(info.metric, '')})")
    gain = style.titled(style.gain_label(info.metric), range=list(style.gain_range(info.gain)))
    return style.panels(data, [single], [gain])
