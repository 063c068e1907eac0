"""The check of Figure 14: gains of networks that never converged would mean little."""

from analysis.figures.boxes import plot_boxes, training_loss_info
from analysis.sections.base import Content, Drawing, View
from analysis.table import SETTINGS, varying


def training(view: View) -> Content:
    """Return the training loss of the endpoints, if it was measured."""
    rows = view.broad[(view.broad["split"] == "train") & (view.broad["metric"] == "loss")]
    if rows.empty:
        return Content()
    setting = next(iter(varying(rows, SETTINGS)), "lr")
    info = training_loss_info(rows, setting, view.run.objective.batchnorm)
    positive = all((box.values > 0).all() for boxes in info.facets.values() for box in boxes)
    caption = "Training loss of the decayed endpoints, pair by pair. Well converged means near zero."
    return Content("", (Drawing("training", plot_boxes(info, log_y=positive), caption),))
