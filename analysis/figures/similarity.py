"""Figure 9, right: the gain of branched pairs against how similarly their networks represent the data."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.figures import style
from analysis.figures.marks import MOST_MARKS, legend_mark, mark_trace, marks
from analysis.table import Selection, trial_gains


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with its 95% interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class SimilarityInfo:
    """CKA and gain by trial."""

    selection: Selection
    marks: pd.DataFrame
    """Rows of `marks` with `cka`, `cka_debiased` and `cka_sem`: means over branch points, and the standard error."""
    correlation: Correlation | None
    """Of CKA and gain over trials of status ok; None for fewer than 5."""


def rank_correlation(x: "pd.Series[float]", y: "pd.Series[float]") -> Correlation | None:
    """Return Spearman's ρ over n pairs, with tanh(artanh ρ ± 1.96 √((1 + ρ²/2)/(n − 3))); None if n < 5.

    It is None too where one of them is constant.

    Source: Bonett & Wright (2000).
    """
    if len(x) < 5 or x.nunique() == 1 or y.nunique() == 1:
        return None
    rho = float(stats.spearmanr(x, y).statistic)
    # A perfect order has no finite artanh.
    centre = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    return Correlation(rho, math.tanh(centre - half), math.tanh(centre + half), len(x))


def similarity_info(
    measurements: pd.DataFrame, rows: pd.DataFrame, selection: Selection
) -> SimilarityInfo | None:
    """Return CKA and gain of each trial in which both were measured; None if there is none.

    Pairs are averaged at each branch point, then branch points. Of more than `MOST_MARKS` trials every so-manieth on
    the noise axis is kept for the picture; the correlation is over all.

    Raises:
        ValueError: if nothing is selected.
    """
    measured = measurements[measurements["name"].isin(["cka", "cka_debiased"])]
    points = measured.groupby(["name", "trial", "branch_step"], observed=True)["value"].mean()
    by_trial = points.groupby(level=["name", "trial"]).agg(["mean", "sem"]).unstack("name")
    table = trial_gains(selection.rows(rows))
    if by_trial.empty or table.empty:
        return None
    for name, column in {
        "cka": ("mean", "cka"),
        "cka_debiased": ("mean", "cka_debiased"),
        "cka_sem": ("sem", "cka"),
    }.items():
        table[name] = table["trial"].map(by_trial[column])
    table = table.dropna(subset=["cka", "gain"])
    if table.empty:
        return None
    ok = table[table["status"] == "ok"]
    shown = table.iloc[:: math.ceil(len(table) / MOST_MARKS)]
    return SimilarityInfo(selection, marks(shown), rank_correlation(ok["cka"], ok["gain"]))


def plot_similarity(info: SimilarityInfo) -> style.Spec:
    """Return gain against CKA, one mark per trial with bars of one standard error, a colour per batch size."""
    table = info.marks
    bottom, top = style.gain_range(table["gain"].to_numpy(np.float64))
    styles = style.style_by(table["batch_size"])
    data = []
    for size, part in table.groupby("batch_size"):
        colour, _ = styles[size]
        bars = {
            "type": "data",
            "array": part["cka_sem"].to_numpy(),
            "color": colour,
            "thickness": 1,
            "width": 0,
        }
        name = {"name": f"B = {size}", "legendgroup": f"{size}"}
        data.append(
            mark_trace(part, "cka", "gain", info.selection.metric, styles[size], bottom)
            | {"error_x": bars}
            | name
        )
        data.append(legend_mark(f"B = {size}", styles[size]) | name)
    gain = style.titled(style.gain_label(info.selection.metric), range=[bottom, top])
    return style.panels(data, [style.titled("linear CKA of the two endpoints")], [gain])
