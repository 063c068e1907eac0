"""The verdict in words, as Markdown."""

import pandas as pd

from analysis.figures.style import UNITS
from analysis.page.fragments import interval
from analysis.verdict import Verdict, headline

STATUSES = {
    "ok": "ok",
    "diverged": "diverged",
    "at_chance": "at chance",
    "failed": "failed",
    "running": "begun",
}


def note(found: Verdict, statuses: pd.Series) -> str:
    """Return how far the run is, where its gain peaks and how sure that is, and which learning rates follow.

    `statuses` has one status per suggested trial.
    """
    counts = statuses.value_counts()
    progress = ", ".join(f"{counts[status]} {word}" for status, word in STATUSES.items() if status in counts)
    parts = [f"{len(statuses)} trials" + (f": {progress}" if progress else "")]
    point, selection = found.point, found.selection
    if point is None:
        return "\n\n".join(
            ["# No critical noise scale yet", f"{found.reason[0].upper()}{found.reason[1:]}.", *parts]
        )
    title = f"# {headline(point)}"
    gain = _interval(point.gain, point.gain_low, point.gain_high)
    parts += [
        f"The probability of a hump is {point.hump_probability:.2f}.",
        f"Gain of merging there, in {UNITS[selection.metric]} of {selection.split} {selection.metric}: {gain}",
        *(
            f"On {split}, which the search did not see: {_interval(*reported)}"
            for split, reported in found.reported.items()
        ),
        *(f"**Careful:** {warning}" for warning in found.warnings),
        "\n".join(
            [
                "| batch size | momentum | learning rate | 95% interval |",
                "|---|---|---|---|",
                *(
                    f"| {r.batch_size} | {r.momentum:g} | {r.lr:.3g} | {interval(r.low, r.high)} |"
                    for r in found.recommendations
                ),
            ]
        ),
    ]
    return "\n\n".join([title, *parts])


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3g}, 95% interval {low:.3g} to {high:.3g}"
