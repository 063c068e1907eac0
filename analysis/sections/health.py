"""What became of the trials, and what to be careful about."""

from analysis.figures.health import health_info, plot_health
from analysis.page.fragments import notices, paragraphs
from analysis.sections.base import Content, Drawing, View


def health(view: View) -> Content:
    """Return counts, warnings, and the trials' fates along the noise axis."""
    found, trials = view.verdict, view.run.trials
    info = health_info(found.curve, trials)
    warnings = list(found.warnings)
    if running := int((trials["status"] == "running").sum()):
        warnings.insert(
            0, f"The run is not finished: {running} of {len(trials)} suggested trials have not ended."
        )
    if failed := int((trials["status"] == "failed").sum()):
        warnings.append(
            f"{failed} trials failed for reasons of infrastructure; the table of trials says why."
        )
    if found.point is None:
        warnings.append(f"No critical point: {found.reason}.")
    listed = ", ".join(f"{count} {state}" for state, count in info.counts.items() if count)
    text = paragraphs([f"Trials: {listed or 'none'}."]) + notices(warnings, "Nothing to warn of.")
    if found.curve is None or not len(found.curve):
        return Content(text)
    caption = "Trials by noise scale and what became of them; trials without a record yet have no place."
    return Content(text, (Drawing("health", plot_health(info), caption),))
