"""Figures 8, 23 and 24: gain of merging endpoints of two learning rates, by α."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures import style
from analysis.figures.means import means
from analysis.figures.paths import merge_name
from analysis.table import Floats

SHARES = ("linear", "slerp", "fisher", "preconditioned")
"""Merges whose α is the second endpoint's share: exchanging the endpoints turns α into 1 − α."""


@dataclass(frozen=True)
class Rates:
    """Gain of one merge by the learning rates of its two endpoints; n rates, k coefficients."""

    merge: str
    """In words."""
    lrs: Floats
    """Shape (n,), ascending."""
    alphas: tuple[float, ...]
    """k of them, ascending; NaN alone if the merge has no α."""
    gain: Floats
    """Shape (k, n, n): coefficient, learning rate of the first endpoint, and of the second; NaN if not measured."""
    low: Floats
    """Lower ends of the 95% intervals, the same shape."""
    high: Floats


def paired_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose two endpoints have their learning rates on record, with these as `first` and `second`."""
    rates: dict[str, tuple[float, float]] = {}
    for text in rows["endpoints"].unique():
        # Most runs record no learning rates there: theirs needn't be parsed.
        ends = json.loads(text) if '"lr"' in text else []
        if len(ends) == 2 and all("lr" in end for end in ends):
            rates[text] = (ends[0]["lr"], ends[1]["lr"])
    rows = rows[rows["endpoints"].isin(list(rates))]
    found = np.array([rates[text] for text in rows["endpoints"]], np.float64).reshape(-1, 2)
    return rows.assign(first=found[:, 0], second=found[:, 1])


def rates_info(rows: pd.DataFrame) -> list[Rates]:
    """Return the gain by both learning rates of each merge; none unless some pair's learning rates differ.

    A pair counts in both orders, for the merge of B and A is known from that of A and B.

    Args:
        rows: records of one metric, split and batch-norm policy; those of status ok count.
    """
    pairs = paired_rates(rows[rows["status"] == "ok"])
    if (pairs["first"] == pairs["second"]).all():
        return []
    return [
        _rates(merge_name(*map(str, names)), str(names[0]) in SHARES, part)
        for names, part in pairs.groupby(["merge", "merge_settings"], observed=True)
    ]


def _rates(name: str, shares: bool, pairs: pd.DataFrame) -> Rates:
    exchanged = pairs.rename(columns={"first": "second", "second": "first"})
    if shares:
        exchanged = exchanged.assign(alpha=(1 - exchanged["alpha"]).round(12))
    both = pd.concat([pairs, exchanged]).assign(alpha=lambda rows: rows["alpha"].fillna(np.inf))
    table = means(both, ["alpha", "first", "second"], "gain")
    lrs, alphas = np.unique(table["first"]), np.unique(table["alpha"])
    place = tuple(
        np.searchsorted(values, table[column])
        for column, values in (("alpha", alphas), ("first", lrs), ("second", lrs))
    )
    grids = []
    for column in ("mean", "low", "high"):
        grid = np.full((len(alphas), len(lrs), len(lrs)), np.nan)
        grid[place] = table[column]
        grids.append(grid)
    shown = tuple(float(alpha) if np.isfinite(alpha) else float("nan") for alpha in alphas)
    return Rates(name, lrs, shown, *grids)


def plot_rates(rates: Rates, metric: str) -> style.Spec:
    """Return a heat map over both learning rates, with a slider over α: first the α of the largest mean gain."""
    best = int(np.nanargmax([np.nanmean(grid) for grid in rates.gain]))
    names = [style.number(lr) for lr in rates.lrs]
    # One scale for all α, even about 0; a merge that fails by far would flatten the others.
    reach = max(abs(end) for end in style.gain_range(rates.gain[np.isfinite(rates.gain)]))
    data = []
    for index, grid in enumerate(rates.gain):
        ends = np.stack([rates.low[index], rates.high[index]], axis=-1)
        data.append(
            {
                "type": "heatmap", "x": names, "y": names, "z": grid.tolist(), "visible": index == best,
                "coloraxis": "coloraxis", "hoverongaps": False, "xgap": 1, "ygap": 1, "customdata": ends.tolist(),
                "hovertemplate": style.hover(
                    lr_of_A="%{y}", lr_of_B="%{x}", gain="%{z:+.3g}",
                    interval="%{customdata[0]:.3g} to %{customdata[1]:.3g}",
                ),
            }
        )  # fmt: skip
    steps = [
        {
            "method": "restyle",
            "label": f"{alpha:g}",
            "args": ["visible", [at == index for at in range(len(data))]],
        }
        for index, alpha in enumerate(rates.alphas)
    ]
    slider = {
        "active": best, "steps": steps, "currentvalue": {"prefix": "α = "}, "pad": {"t": 56}, "bgcolor": style.GRID,
        "activebgcolor": style.MUTED, "bordercolor": style.MUTED, "tickcolor": style.MUTED,
    }  # fmt: skip
    bar = {"title": {"text": style.UNITS.get(metric, "")}, "thickness": 12}
    coloraxis = {"cmin": -reach, "cmax": reach, "colorscale": "RdBu", "reversescale": True, "colorbar": bar}
    first, second = (style.titled(f"learning rate of {end}", type="category") for end in ("A", "B"))
    return style.panels(
        data, [second], [first], height=460, coloraxis=coloraxis, sliders=[slider] if len(steps) > 1 else []
    )
