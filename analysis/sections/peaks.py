"""Where each objective peaks: they need not agree (Figure 6)."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pandas as pd

from analysis.critical_point import CriticalPoint
from analysis.figures.style import UNITS, number
from analysis.page.fragments import interval, paragraphs, table_html
from analysis.sections.base import Content, View
from analysis.table import gain_curve
from analysis.verdict import find_peak


def peaks(view: View) -> Content:
    """Return a table of S* for the gain in each metric, and for the accuracy of the merged network."""
    rows = [
        {
            "quantity": quantity,
            "S*": point.noise_scale,
            "95% interval": interval(point.low, point.high),
            "finding": point.finding,
            "hump probability": point.hump_probability,
            "there": f"{base + point.gain:.3f} {unit}" if base else f"{point.gain:+.3g} {unit}",
        }
        for quantity, point, base, unit in _peaks(view)
    ]
    if len(rows) < 2:
        return Content()
    text = (
        f"On the {view.selection.split} split, batch norm {view.selection.batchnorm}. The noise that gains most is not "
        "the noise whose merged network is best: on the way up, single networks lose what merging wins back. "
    )
    tops = [float(str(row["S*"])) for row in rows]
    text += f"Here they lie within a factor of {number(max(tops) / min(tops), 2)}."
    return Content(paragraphs([text]) + table_html(pd.DataFrame(rows), "Peaks by objective"))


def _peaks(view: View) -> Iterator[tuple[str, CriticalPoint, float, str]]:
    """Yield quantity, its peak, what to add to the peak's gain, and the unit."""
    for metric in sorted(view.rows["metric"].unique()):
        selection = replace(view.selection, metric=metric)
        tables = [(f"{metric} gain", view.rows, 0.0)]
        if metric == "accuracy":
            merged = view.rows[view.rows["metric"] == metric]
            # Curves are fitted to gains, which are about as large as their differences; the level is not.
            level = float(merged["f_merged"].where(merged["status"] == "ok").median())
            tables.append(("merged accuracy", merged.assign(gain=merged["f_merged"] - level), level))
        for quantity, table, base in tables:
            try:
                point = find_peak(gain_curve(table, **asdict(selection)))
            except ValueError:
                continue
            yield quantity, point, base, UNITS.get(metric, "")
