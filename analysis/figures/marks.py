"""Trials as marks: one each, or groups of neighbours where there are too many to draw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.table import SETTINGS, GainCurve

MOST_MARKS = 1500
"""Trials that are drawn one by one; of more, groups of neighbours are."""
MOST_GROUPS, MOST_VALUES = 400, 12
GATHERED = (
    "Each mark stands for neighbouring trials: median gain, with bars from the 10th to the 90th percentile."
)


def curve_frame(curve: GainCurve) -> pd.DataFrame:
    """Return the trials of `curve` as a table."""
    return pd.DataFrame(vars(curve))


def marks(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row per mark, ordered by batch size and noise scale.

    Columns are those of `trials` (as from `trial_gains`) with `low` and `high`, the ends of the mark's bar, and
    `trials`, how many it stands for. Up to `MOST_MARKS` trials are marks of their own, with bars of one standard
    error. Of more, those that agree in status and in settings of few values are gathered by rank of noise scale.
    """
    if len(trials) <= MOST_MARKS:
        each = trials.assign(
            low=trials["gain"] - trials["sem"], high=trials["gain"] + trials["sem"], trials=1
        )
        return each.sort_values(["batch_size", "noise_scale", "trial"], ignore_index=True)
    held = [name for name in SETTINGS if name in trials]
    alike = ["status", *(name for name in held if name != "lr" and trials[name].nunique() <= MOST_VALUES)]
    groups = trials.groupby(alike, observed=True)
    rank = groups["noise_scale"].rank("first", pct=True)
    bins = max(1, MOST_GROUPS // groups.ngroups)
    gathered = trials.assign(
        bin=np.ceil(rank * bins), lr=np.log(trials["lr"]), noise_scale=np.log(trials["noise_scale"])
    ).groupby([*alike, "bin"], observed=True)
    numbers = [name for name in ("noise_scale", "collapsed", "n", *held) if name not in (*alike, "augment")]
    quantiles = gathered["gain"].quantile(np.array([0.1, 0.5, 0.9])).unstack()
    table = (
        gathered[numbers]
        .mean()
        .assign(low=quantiles[0.1], gain=quantiles[0.5], high=quantiles[0.9], trials=gathered.size())
    )
    table = table.reset_index().assign(
        lr=lambda table: np.exp(table["lr"]), noise_scale=lambda table: np.exp(table["noise_scale"])
    )
    table["trial"] = [
        f"{count} trials about S = {style.number(scale)}"
        for count, scale in zip(table["trials"], table["noise_scale"], strict=True)
    ]
    return table.sort_values(["batch_size", "noise_scale"], ignore_index=True)


def mark_trace(
    table: pd.DataFrame, x: str, y: str, metric: str, look: tuple[str, str], bottom: float
) -> style.Spec:
    """Return a trace of marks: open ones are at chance, with a dot too inaccurate, crosses diverged.

    Args:
        table: rows of `marks`.
        x: column of the horizontal axis.
        y: column of the vertical axis, `gain` or something on its scale.
        metric: what the gain is of.
        look: colour and symbol.
        bottom: where marks without a gain, and those below it, are drawn.
    """
    colour, symbol = look
    symbols = {
        "ok": symbol,
        "at_chance": f"{symbol}-open",
        "low": f"{symbol}-open-dot",
        "diverged": "x-thin-open",
    }
    value, gain = table[y].to_numpy(np.float64), table["gain"].to_numpy(np.float64)
    shown = value > bottom
    up, down = (np.where(shown, ends, np.nan) for ends in (table["high"] - gain, gain - table["low"]))
    return {
        "type": "scatter",
        "x": table[x].to_numpy(),
        "y": np.where(shown, value, bottom),
        "error_y": {
            "type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": colour, "thickness": 1,
            "width": 0,
        },
        "mode": "markers",
        "marker": {
            "color": colour,
            "size": 8,
            "symbol": [symbols[status] for status in table["status"]],
            "line": {"width": 1.5, "color": colour},
        },
        "showlegend": False,
        "text": table["trial"].tolist(),
        "customdata": list(map(list, zip(*_texts(table, metric), strict=True))),
        "hovertemplate": style.hover(
            trial="%{text}", S="%{customdata[0]}", lr="%{customdata[1]}", gain="%{customdata[2]}",
            status="%{customdata[3]}",
        ),
    }  # fmt: skip


def legend_mark(name: str, look: tuple[str, str]) -> style.Spec:
    """Return a trace without a point that shows in the legend: a real one's first mark may have diverged."""
    marker = {"color": look[0], "symbol": look[1], "size": 8}
    return {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "marker": marker, "name": name}


def _texts(table: pd.DataFrame, metric: str) -> Sequence[Sequence[Any]]:
    """Return per mark its noise scale, learning rate and batch size, gain, and status in words."""
    unit = style.UNITS.get(metric, "")
    rates = [
        f"{style.number(lr)}, B {size}" for lr, size in zip(table["lr"], table["batch_size"], strict=True)
    ]
    gains = [
        "–" if np.isnan(gain) else f"{gain:+.3g} ± {(high - low) / 2:.2g} {unit}" if count == 1
        else f"{gain:+.3g} ({low:.3g} to {high:.3g}) {unit}"
        for gain, low, high, count in zip(table["gain"], table["low"], table["high"], table["trials"], strict=True)
    ]  # fmt: skip
    states = [
        status.replace("_", " ") + (f", {100 * share:.0f}% of pairs collapsed" if 0 < share < 1 else "")
        for status, share in zip(table["status"], table["collapsed"], strict=True)
    ]
    return [list(map(style.number, table["noise_scale"])), rates, gains, states]
