"""Means of pairs with their intervals, and the lines that show them."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.figures import style
from analysis.table import varying

SHORT = {
    "lr": "lr",
    "batch_size": "B",
    "momentum": "μ",
    "weight_decay": "λ",
    "augment": "",
    "noise_scale": "S",
}
"""Setting → its symbol, as legends have it."""
MOST_LINES = 8
"""More distinct values of a setting than this are gathered into bins of equal log width."""
MIXED = ["lr", "batch_size", "momentum"]
"""Settings that the noise scale stands for where more than one of them varies."""


def means(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return a row per combination of `by`: the mean of `value`, its 95% interval from `low` to `high`, and n.

    The pairs of one branch point share endpoints, so they are averaged first; n counts branch points. The interval is
    Student's over them, NaN where there is one.
    """
    points = rows.groupby([*by, "trial", "branch_step"], observed=True)[value].mean().dropna()
    table = points.groupby(level=by, observed=True).agg(["mean", "sem", "size"]).reset_index()
    table = table.rename(columns={"size": "n"})
    half = stats.t.ppf(0.975, np.maximum(table["n"] - 1, 1)) * table.pop("sem")
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)


def leading_setting(rows: pd.DataFrame) -> str:
    """Return the setting that `rows` are compared by: what varies, or the noise scale if it stands for several."""
    mixed = varying(rows, MIXED)
    return (
        "noise_scale"
        if len(mixed) > 1
        else next(iter([*mixed, *varying(rows, ["weight_decay", "augment"])]), "lr")
    )


def binned(rows: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Return `rows` with each one's place `at` on a setting: its value, or of many values the middle of its bin."""
    values = rows[setting]
    distinct = np.sort(np.asarray(values.unique()))
    if len(distinct) <= MOST_LINES or values.dtype.kind not in "if":
        return rows.assign(at=values)
    edges = np.geomspace(distinct[0], distinct[-1], MOST_LINES + 1)
    index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_LINES - 1)
    return rows.assign(at=np.sqrt(edges[1:] * edges[:-1])[index])


def named(setting: str, at: Any) -> str:
    """Return a value of a setting as legends have it.

    >>> named("lr", 0.1), named("augment", "shift")
    ('lr = 0.1', 'shift')
    """
    symbol = SHORT[setting]
    return f"{symbol} = {style.number(at)}" if symbol else f"{at}"


def setting_axis(setting: str, values: "pd.Series[Any]") -> dict[str, Any]:
    """Return the axis of a setting: logarithmic for positive numbers, by category for names."""
    kind = {"type": "category"} if values.dtype.kind not in "if" else style.log_axis(values)
    return style.titled(style.LABELS[setting], **kind)


def line(table: pd.DataFrame, x: str, name: str, look: tuple[str, str], **lines: str) -> style.Spec:
    """Return a line through rows of `means`, with their intervals; `lines` are further ones of the hover text."""
    colour, symbol = look
    bars = {"color": colour, "thickness": 1, "width": 0}
    up, down = table["high"] - table["mean"], table["mean"] - table["low"]
    return {
        "type": "scatter", "x": table[x].to_numpy(), "y": table["mean"].to_numpy(), "mode": "lines+markers",
        "name": name, "legendgroup": name, "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "symbol": symbol, "size": 7},
        "error_y": {"type": "data", "symmetric": False, "array": up.to_numpy(), "arrayminus": down.to_numpy()} | bars,
        "customdata": table[["low", "high", "n"]].to_numpy(),
        "hovertemplate": style.hover(
            **lines, mean="%{y:.3g}", interval="%{customdata[0]:.3g} to %{customdata[1]:.3g}",
            branch_points="%{customdata[2]}",
        ),
    }  # fmt: skip
