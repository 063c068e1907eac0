"""The same gains against learning rate, batch size and noise scale, and what the common curve leaves of them."""

from analysis.figures.marks import GATHERED, MOST_MARKS
from analysis.figures.noise import noise_info, plot_noise
from analysis.figures.residuals import plot_residuals, residual_info
from analysis.sections.base import Content, Drawing, View
from analysis.verdict import headline


def noise(view: View) -> Content:
    """Return the trio of Figure 1, and residuals by batch size."""
    curve, point = view.verdict.curve, view.verdict.point
    if curve is None or not len(curve):
        return Content()
    gathered = GATHERED if len(curve) > MOST_MARKS else "One mark per trial, bars are one standard error."
    caption = (
        f"{view.what} gain of the merged network over the mean of its endpoints. {gathered} Open marks: at chance. At "
        "the bottom, crosses have diverged and other marks lie lower. "
    )
    trio = plot_noise(noise_info(curve, point, view.selection))
    if point is None:
        return Content("", (Drawing("noise", trio, f"{caption}No curve is drawn: {view.verdict.reason}."),))
    caption += (
        f"Right: posterior curve with its 95% band. {headline(point)}"
        f"{'; dashed, and shaded.' if point.hump else ''}"
    )
    drawings = [Drawing("noise", trio, caption)]
    residuals = residual_info(curve, point, view.selection)
    if residuals.marks:
        drawing = Drawing(
            "residuals",
            plot_residuals(residuals),
            "What the common curve leaves, wherever it is above zero: gain less the curve at the trial's noise scale, "
            "and its mean by batch size with a 95% interval over trials. Where the collapse holds both are flat; batch "
            "sizes that rise or fall apart have peaks of their own.",
        )
        drawings.append(drawing)
    return Content("", tuple(drawings))
