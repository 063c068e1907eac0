"""Figures 7(b), 17 and 18: what merging gains along α, by learning rate or another setting."""

import json
from dataclasses import dataclass

import pandas as pd

from analysis.figures import style
from analysis.figures.means import binned, leading_setting, line, means, named

FEWEST = 3
"""Coefficients that make a path."""


@dataclass(frozen=True)
class PathInfo:
    """Gain along α for each merge that was made at several α."""

    metric: str
    setting: str
    """What tells the lines apart."""
    merges: dict[str, pd.DataFrame]
    """Merge in words → rows of `means` of the gain, by `at`, the setting's value, and `alpha`."""


def merge_name(merge: str, settings: str) -> str:
    """Return a merge and its settings, which are JSON, in words.

    >>> merge_name("ties", '{"density": 0.2}'), merge_name("linear", "{}")
    ('ties, density 0.2', 'linear')
    """
    return ", ".join(filter(None, [merge.replace("_", " "), style.describe(json.loads(settings))]))


def path_info(rows: pd.DataFrame, metric: str) -> PathInfo | None:
    """Return the gain along α of every merge in `rows`; None if none was made at three α or more.

    Args:
        rows: records of one metric, split and batch-norm policy; those of status ok count.
        metric: what the gain is of.
    """
    rows = rows[rows["status"] == "ok"].dropna(subset="alpha")
    merges = ["merge", "merge_settings"]
    several = rows.groupby(merges, observed=True)["alpha"].transform("nunique") >= FEWEST
    rows = rows[several]
    if rows.empty:
        return None
    setting = leading_setting(rows)
    placed = binned(rows, setting)
    return PathInfo(
        metric,
        setting,
        {
            merge_name(*map(str, names)): means(part, ["at", "alpha"], "gain")
            for names, part in placed.groupby(merges, observed=True)
        },
    )


def plot_paths(info: PathInfo) -> style.Spec:
    """Return a panel per merge with a common gain axis: a line per value of the setting, bars its 95% intervals."""
    styles = style.style_by(at for table in info.merges.values() for at in table["at"])
    data, seen = [], set[str]()
    for panel, table in enumerate(info.merges.values()):
        for at, part in table.groupby("at", observed=True):
            name = named(info.setting, at)
            trace = line(part, "alpha", name, styles[at], α="%{x:.3g}", of=name)
            data.append(trace | style.on(panel) | {"showlegend": name not in seen})
            seen.add(name)
    everything = pd.concat(info.merges.values())
    gain = style.titled(
        style.gain_label(info.metric), range=list(style.gain_range(everything["mean"].to_numpy()))
    )
    alphas = [style.titled("α") for _ in info.merges]
    # The titles stand where the legend would.
    below = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    margin = {"l": 64, "r": 16, "t": 40, "b": 120}
    return style.panels(data, alphas, [gain], 460, titles=list(info.merges), legend=below, margin=margin)
