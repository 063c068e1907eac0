"""The same gains on any axis, facet by facet: the reader picks both on the page."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.collapse import Collapse, axis_words
from analysis.figures import style
from analysis.figures.marks import legend_mark, mark_trace, marks
from analysis.table import SETTINGS, Selection, trial_gains, varying

AXES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.Series]]] = {
    "noise_scale": (style.LABELS["noise_scale"], lambda table: table["noise_scale"]),
    "lr": (style.LABELS["lr"], lambda table: table["lr"]),
    "batch_size": (style.LABELS["batch_size"], lambda table: table["batch_size"]),
    "lr/batch_size": ("lr / B", lambda table: table["lr"] / table["batch_size"]),
    "lr/sqrt(batch_size)": ("lr / √B", lambda table: table["lr"] / table["batch_size"] ** 0.5),
    "lr/(1-momentum)": ("lr / (1 − μ)", lambda table: table["lr"] / (1 - table["momentum"])),
    "lr*weight_decay": ("lr · λ", lambda table: table["lr"] * table["weight_decay"]),
}
"""Name → (label, values): what the gain may be drawn against."""
MOST_FACETS = 8


@dataclass(frozen=True)
class AxesInfo:
    """Trials of every weight decay and augmentation, with their place on each axis."""

    selection: Selection
    marks: dict[int, pd.DataFrame]
    """Batch size → rows of `marks`, with a column for each axis."""
    axes: dict[str, str]
    """Name of each axis → its label."""
    facets: list[str]
    """Settings that vary and can divide the trials into panels."""


def axes_info(table: pd.DataFrame, selection: Selection, fitted: Collapse | None = None) -> AxesInfo:
    """Return the trials of `table` on all axes, that of the exponents `fitted` to batch size and momentum too.

    Raises:
        ValueError: if nothing is selected.
    """
    trials = marks(trial_gains(selection.rows(table)))
    on_axes = trials.assign(**{name: values(trials) for name, (_, values) in AXES.items()})
    labels = {name: label for name, (label, _) in AXES.items()}
    if fitted is not None and fitted.b is not None:
        b, c = round(fitted.b.value, 2), fitted.expected[1] if fitted.c is None else round(fitted.c.value, 2)
        on_axes["fitted"] = trials["lr"] / (trials["batch_size"] ** b * (1 - trials["momentum"]) ** c)
        labels["fitted"] = f"fitted: {axis_words((b, c))}"
    facets = [
        name for name in varying(trials, SETTINGS) if name != "lr" and trials[name].nunique() <= MOST_FACETS
    ]
    return AxesInfo(
        selection, {int(str(size)): part for size, part in on_axes.groupby("batch_size")}, labels, facets
    )


def plot_axes(info: AxesInfo) -> style.Spec:
    """Return gain against the noise scale, one trace per batch size; the page's script can change the axis.

    For it the figure carries, beside Plotly's fields, `explore`: the labels of axes and facets, and for each trace
    its marks' values on them.
    """
    tables = list(info.marks.values())
    gains = np.concatenate([table["gain"].dropna() for table in tables])
    bottom, top = style.gain_range(gains)
    styles = style.style_by(info.marks)
    names = list(dict.fromkeys([*info.axes, *info.facets]))
    data, columns = [], []
    for size, table in info.marks.items():
        name = {"name": f"B = {size}", "legendgroup": f"{size}"}
        data.append(
            mark_trace(table, "noise_scale", "gain", info.selection.metric, styles[size], bottom) | name
        )
        columns.append({column: table[column].tolist() for column in names})
        data.append(legend_mark(f"B = {size}", styles[size]) | name)
        columns.append({})
    gain = style.titled(style.gain_label(info.selection.metric), range=[bottom - 0.06 * (top - bottom), top])
    spec = style.panels(data, [style.titled(info.axes["noise_scale"], type="log")], [gain], height=420)
    explore = {
        "axes": info.axes,
        "facets": {name: style.LABELS[name] for name in info.facets},
        "columns": columns,
    }
    return spec | {"explore": explore}
