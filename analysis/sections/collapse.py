"""Do the curves of all batch sizes fall on one, and on which axis?"""

import pandas as pd

from analysis.collapse import Collapse
from analysis.collapse.exponents import Estimate, Exponent
from analysis.figures.peaks import plot_peaks
from analysis.page.fragments import interval, paragraphs, table_html
from analysis.sections.base import Content, Drawing, View

COLUMNS = {
    "name": "axis",
    "r2": "R²",
    "loo_error": "error on a batch size left out",
    "nugget": "scatter beyond noise",
    "quality": "Houdayer–Hartmann",
    "p_value": "p of a perfect collapse",
}
HELP = (
    "Axes are ranked by the error of predicting the gains of one batch size from the others, in standard errors of a "
    "gain. Scatter is in the gain's unit. The quality's p-value compares it with simulated perfect collapses on the "
    "same trials: small values speak against the axis.",
)
TITLES = {"holds": "It holds.", "imperfect": "It is imperfect.", "unknown": "These data can't tell."}


def collapse(view: View) -> Content:
    """Return the verdict on the collapse, axes ranked, exponents with intervals, and a peak per batch size."""
    found, point = view.collapse, view.verdict.point
    if found is None or point is None:
        return Content()
    html = paragraphs([f"{TITLES[found.verdict]} {found.reason}"])
    if found.axes:
        axes = pd.DataFrame([vars(axis) for axis in found.axes])[list(COLUMNS)].rename(columns=COLUMNS)
        html += table_html(axes, "Axes, best first") + paragraphs(HELP)
    if exponents := _exponents(found):
        html += table_html(pd.DataFrame(exponents), "Exponents")
    if not found.peaks:
        return Content(html)
    caption = (
        "The peak of each batch size from its own trials, with its 95% interval; dashed and shaded, the peak of all "
        "together. Peaks that drift with the batch size call for the fitted axis."
    )
    return Content(html, (Drawing("peaks", plot_peaks(found.peaks, point), caption),))


def _exponents(found: Collapse) -> list[dict[str, str | float]]:
    """Return a row per exponent of the axis lr / (B^b (1 − μ)^c) that could be fitted."""
    named = {"b, of the batch size": found.b, "c, of 1 − momentum": found.c}
    return [
        {
            "exponent": name,
            "expected": expected,
            "fitted": exponent.value,
            "95% interval": interval(exponent.low, exponent.high),
            "before the collapse only": _trimmed(exponent),
            "check by a spline": exponent.spline,
        }
        for (name, exponent), expected in zip(named.items(), found.expected, strict=True)
        if exponent is not None
    ]


def _trimmed(exponent: Exponent) -> str:
    without: Estimate | None = exponent.trimmed
    return "–" if without is None else f"{without.value:.3g} ({interval(without.low, without.high)})"
