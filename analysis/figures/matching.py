"""Figure 26: gain of branched pairs against that of independent networks after matching their units."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.figures.means import binned, leading_setting, means, named
from analysis.figures.similarity import Correlation, rank_correlation
from analysis.table import Selection


@dataclass(frozen=True)
class MatchingInfo:
    """Mean gains of both kinds of pairs at each value of the setting."""

    metric: str
    setting: str
    table: pd.DataFrame
    """Indexed by the setting's value; `branched` and `matched`, each with `_low` and `_high`, the 95% interval."""
    correlation: Correlation | None
    """Of the two gains over the values; None for fewer than 5."""


def matching_info(rows: pd.DataFrame, trials: pd.DataFrame, selection: Selection) -> MatchingInfo | None:
    """Return the gains of branched pairs and of matched independent ones where both were merged; None if nowhere.

    Args:
        rows: records of every merge under one metric, split and batch-norm policy; those of status ok count.
        trials: as from `read_trials`: its configs say which trials start independent.
        selection: the merge and its α.
    """
    settings = {text: json.loads(text) for text in rows["merge_settings"].unique()}
    aligned = rows["merge_settings"].isin([text for text, found in settings.items() if "align" in found])
    if not aligned.any():
        return None
    configs = {str(row["trial"]): json.loads(row["config"]) for _, row in trials.iterrows()}
    independent = rows["trial"].isin(
        [trial for trial, config in configs.items() if config.get("start") == "independent"]
    )
    chosen = (rows["merge"] == selection.merge) & (rows["status"] == "ok") & (rows["n_endpoints"] == 2)
    chosen &= rows["alpha"].isna() if selection.alpha is None else rows["alpha"] == selection.alpha
    branched = rows[chosen & ~independent & (rows["merge_settings"] == "{}")]
    matched = rows[chosen & independent & aligned]
    if branched.empty or matched.empty:
        return None
    setting = leading_setting(pd.concat([branched, matched]))
    placed = binned(
        pd.concat({"branched": branched, "matched": matched}, names=["kind"]).reset_index("kind"), setting
    )
    columns = {"mean": "", "low": "_low", "high": "_high"}
    table = means(placed, ["kind", "at"], "gain").pivot(index="at", columns="kind", values=list(columns))
    table.columns = table.columns.map(lambda at: f"{at[1]}{columns[at[0]]}")
    table = table.dropna(subset=["branched", "matched"])
    if table.empty:
        return None
    return MatchingInfo(
        selection.metric, setting, table, rank_correlation(table["branched"], table["matched"])
    )


def plot_matching(info: MatchingInfo) -> style.Spec:
    """Return one mark per value of the setting with both 95% intervals."""
    styles = style.style_by(info.table.index)
    data = []
    for at, row in info.table.iterrows():
        colour, symbol = styles[at]
        name = named(info.setting, at)
        marker = {"color": colour, "symbol": symbol, "size": 9}
        trace = {
            "type": "scatter",
            "x": [row["branched"]],
            "y": [row["matched"]],
            "mode": "markers",
            "name": name,
        }
        bars = {
            f"error_{axis}": _bar(row, kind, colour) for axis, kind in (("x", "branched"), ("y", "matched"))
        }
        text = style.hover(of=name, branched="%{x:+.3g}", matched="%{y:+.3g}")
        data.append(trace | bars | {"marker": marker, "hovertemplate": text})
    label = style.gain_label(info.metric)
    ranges = {
        kind: list(style.gain_range(info.table[kind].to_numpy(np.float64)))
        for kind in ("branched", "matched")
    }
    return style.panels(
        data,
        [style.titled(f"{label} of branched pairs", range=ranges["branched"])],
        [style.titled(f"{label} after matching", range=ranges["matched"])],
    )


def _bar(row: "pd.Series[float]", kind: str, colour: str) -> style.Spec:
    up, down = row[f"{kind}_high"] - row[kind], row[kind] - row[f"{kind}_low"]
    return {
        "type": "data",
        "symmetric": False,
        "array": [up],
        "arrayminus": [down],
        "color": colour,
        "thickness": 1,
    }
