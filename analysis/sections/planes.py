"""The landscape between the networks: Figure 31."""

from analysis.figures.planes import plane_info, plot_planes
from analysis.sections.base import Content, Drawing, View


def planes(view: View) -> Content:
    """Return slices through a branch point and two endpoints at low, best and high noise, if they were measured."""
    if not view.run.asks("plane"):
        return Content()
    point = view.verdict.point
    peak = float(view.rows["noise_scale"].median()) if point is None else point.noise_scale
    found = plane_info(view.run.measurements, view.rows, view.selection, peak)
    if not found:
        return Content()
    caption = (
        f"{view.what} in the plane through the branch point θ₀ and two of its endpoints, θ_A and θ_B, at the last "
        "branch point of the trials of least noise, nearest to S* (or in the middle) and of most noise. Axes are "
        "distances in parameter space; batch norm is recalibrated at every point. Merging gains where the "
        "endpoints lie on opposite slopes of one basin. Beyond the colour scale's ends values are not "
        "told apart; yellow is better."
    )
    return Content("", (Drawing("planes", plot_planes(found, view.selection.metric), caption),))
