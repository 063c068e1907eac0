"""The answer in cards: where the gain peaks, whether it does, what it is worth, and what finding it cost."""

from collections.abc import Sequence

from analysis.collapse import Collapse
from analysis.figures.style import UNITS, number
from analysis.guide import Recommendation
from analysis.page.fragments import card, duration, interval, paragraphs
from analysis.sections.base import Content, Run, View
from analysis.verdict import Verdict, headline

FINDINGS = {
    "lower edge": "Edge of the range",
    "upper edge": "Edge of the range",
    "no hump": "No hump",
}
"""What is found where there is no interior peak → title of the first card."""


def verdict(view: View) -> Content:
    """Return cards: S*, hump, gain, cost, recommended learning rates."""
    found = view.verdict
    rates = _recommendations(found.recommendations) if found.recommendations else ""
    return Content(f'<div class="cards">{"".join(_cards(found))}{_budget(view.run)}{rates}</div>')


def _cards(verdict: Verdict) -> list[str]:
    selection, point = verdict.selection, verdict.point
    alpha = "" if selection.alpha is None else f", α = {selection.alpha:g}"
    measured = f"{selection.split} {selection.metric}, {selection.merge} merge{alpha}, batch norm {selection.batchnorm}"
    if point is None:
        return [card("No critical point", "–", [verdict.reason, measured], wide=True)]
    unit = UNITS.get(selection.metric, "")
    gains = [f"95% interval {interval(point.gain_low, point.gain_high)}, {selection.split} split"]
    gains += [
        f"{split} split, not used to find S*: {mean:+.3g} ({interval(low, high)})"
        for split, (mean, low, high) in verdict.reported.items()
    ]
    kind = {"least_regret": "argmax of the mean curve", "most_mass": "most probable place, at a cliff"}[
        point.point
    ]
    collapse = _collapse(verdict.collapse) if verdict.collapse else []
    return [
        card(
            "Critical noise scale S*",
            number(point.noise_scale),
            [f"95% interval {interval(point.low, point.high)}", kind, measured],
        )
        if point.hump
        else card(FINDINGS[point.finding], "–", [headline(point), measured]),
        card(
            "Is there a hump?",
            "Yes" if point.hump else "No" if point.finding == "no hump" else "Not in the range",
            [
                f"probability {point.hump_probability:.2f} that gain falls off on both sides",
                f"check by a plain Gaussian process: S* {number(point.gp.noise_scale)} "
                f"({interval(point.gp.low, point.gp.high)})",
            ],
        ),
        card(
            f"Gain {'at S*' if point.hump else 'at the best place seen'} ({unit})",
            f"{point.gain:+.3g}",
            gains,
        ),
        *collapse,
    ]


def _collapse(found: Collapse) -> list[str]:
    value = {"holds": "Holds", "imperfect": "Imperfect", "unknown": "Can't tell"}[found.verdict]
    lines = [found.reason]
    if found.axes:
        lines.append(f"best axis of {len(found.axes)}: {found.axes[0].name}, R² {found.axes[0].r2:.2f}")
    return [card("Do all batch sizes collapse?", value, lines)]


def _recommendations(recommendations: Sequence[Recommendation]) -> str:
    columns = {
        "batch size": [f"{r.batch_size}" for r in recommendations],
        "lr": [f"<strong>{number(r.lr)}</strong>" for r in recommendations],
        "95% interval": [interval(r.low, r.high) for r in recommendations],
        "merged": [_merged(r) for r in recommendations],
        "largest stable lr": [_stable(r) for r in recommendations],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    head = "".join(f'<th scope="col">{name}</th>' for name in shown)
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in zip(*shown.values(), strict=True)
    )
    notes = dict.fromkeys(r.note for r in recommendations if r.note)
    momentum = next((f"{r.momentum:g}" for r in recommendations), "–")
    return (
        f'<article class="card wide"><h3>Recommended learning rate, momentum {momentum}</h3>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Recommended learning rates"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{paragraphs(notes)}</article>"
    )


def _merged(recommendation: Recommendation) -> str:
    """Return what the merge is expected to reach, "" if unknown."""
    found = recommendation.merged
    if found is None:
        return ""
    unit = "%" if found.metric == "accuracy" else " nats"
    return f"{number(found.value)}{unit} ({interval(found.low, found.high)})"


def _stable(recommendation: Recommendation) -> str:
    """Return the largest tried rate short of the peak that was stable, and what it loses; "" if there is none."""
    found = recommendation.stable
    return "" if found is None else f"{number(found.lr)}, {found.lost:.2g} less gain"


def _budget(run: Run) -> str:
    """Return the card of what the run cost so far."""
    trials = run.trials
    ended = trials[trials["status"] != "running"]
    gpus = run.info.recipe["resources"]["gpu"]
    lines = [f"{len(ended)} ended, {ended['epochs_trained'].sum():,.0f} epochs trained"]
    early = ended[ended["epochs_saved"] > 0]
    if len(early):
        trials_ended = f"{len(early)} hopeless trial{'s' * (len(early) > 1)}"
        lines.append(f"{early['epochs_saved'].sum():,.0f} saved by ending {trials_ended} early")
    lines.append(f"{duration(ended['cpu_seconds'].sum())} of processor time")
    if gpus:
        lines.append(f"{duration(gpus * ended['wall_seconds'].sum())} of GPU time")
    lines.append(f"{duration(ended['wall_seconds'].sum())} of trials, one after the other")
    if len(ended):
        lines.append(f"{duration(ended['time'].max() - run.info.time)} from the start to the last of them")
    return card("Cost", f"{len(trials)} trials", lines)
