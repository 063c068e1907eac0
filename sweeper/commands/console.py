"""What the commands print. Numbers come in; words and tables go out."""

import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from analysis.guide import Recommendation
    from analysis.verdict import Verdict
    from sweeper.commands.doctor import Check
    from sweeper.commands.status import StatusInfo
    from sweeper.planning import CostInfo, PlanInfo, RecipeInfo, TrialPlan
    from sweeper.store import GcReport
    from sweeper.tuning import Tally

PIPE_WIDTH = 120
"""Width of tables where there is no terminal to fit."""
UNITS = {"accuracy": "points", "loss": "nats"}
MERGED_UNITS = UNITS | {"accuracy": "percent"}
COLLAPSES = {"holds": "it holds", "imperfect": "it is imperfect", "unknown": "it can't be told"}
STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def output() -> Console:
    """Return the console on standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def say(text: str, style: str | None = None) -> None:
    """Print one line as it is: a path in it can be copied, however narrow the terminal."""
    output().print(text, style=style, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a time in its two largest units, e.g. "3 min 20 s"."""
    left = max(0, round(seconds))
    parts = []
    for unit, size in SECONDS:
        amount, left = divmod(left, size)
        parts.append((amount, unit))
    first = next((i for i, (amount, _) in enumerate(parts) if amount), len(parts) - 1)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2] if amount) or "0 s"


def size(amount: float) -> str:
    """Return a number of bytes, e.g. "3.1 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.3g} TB" if amount < 1000 else f"{amount:,.0f} TB"


def interval(value: float, low: float, high: float) -> str:
    """Return a value with its 95% interval."""
    return f"{value:.3g}, 95% interval {low:.3g} to {high:.3g}"


def savings(trained: float, saved: float, ended: int) -> str:
    """Return what ending hopeless trials early has saved, "" if none was."""
    trials = "trial" if ended == 1 else "trials"
    whole = trained + saved
    return (
        f"saved {saved:,.0f} of {whole:,.0f} epochs by ending {ended} hopeless {trials} early"
        if ended
        else ""
    )


def show_recipes(infos: Iterable["RecipeInfo"]) -> None:
    """Print the named recipes."""
    infos = list(infos)
    scales = list(infos[0].scales)
    rows = [
        [
            info.name,
            info.figure,
            *(f"{info.scales[scale].trials} × {_per_trial(info, scale)}" for scale in scales),
            ", ".join(scale for scale in scales if not info.scales[scale].missing) or "none yet",
            info.title,
        ]
        for info in infos
    ]
    _table(["recipe", "figure", *scales, "runs at", "title"], rows)
    say("Under each scale: trials × epochs per trial, on average. What a recipe does: sweeper plan RECIPE")


def show_plan(
    info: "PlanInfo", cost: "CostInfo | None", disk: int | None, free: int | None, path: str
) -> None:
    """Print what a recipe would do and cost, and where its values come from."""
    recipe, exactly = info.recipe, "" if info.recipe.search.sampler == "grid" else "about "
    title = f"{recipe.name}: {recipe.title or 'no title'}"
    say(title + (f" ({recipe.figure}, scale {recipe.scale})" if recipe.scale else ""), "bold")

    def counted(quantity: "Callable[[TrialPlan], float]") -> str:
        low, high = info.bounds(quantity)
        each = f"{low:,.0f}" if round(low) == round(high) else f"{low:,.0f} to {high:,.0f}"
        return f"{each} per trial, {exactly}{info.total(quantity):,.0f} in all"

    same = info.trials - len(info.plans) if recipe.search.sampler == "grid" else 0
    kept = (
        "unknown"
        if disk is None
        else f"{exactly}{size(disk)} of checkpoints stay (retention {recipe.retention.keep})"
    )
    if disk is not None and free is not None:
        kept += f"; {size(free)} are free there" + (": too few" if free < disk else "")
    lines = {
        "trials": f"{info.trials}, {recipe.search.sampler}"
        + (f"; {same} of them train what another has trained" if same else ""),
        "branch points": counted(lambda plan: plan.branch_points),
        "epochs": counted(lambda plan: plan.epochs),
        "steps": counted(lambda plan: plan.steps),
        "data": _data(info),
        "cost": _cost(info, cost),
        "disk": kept,
        "run": path,
        "version": "this one runs it"
        if not info.missing
        else f"a later one: no {', no '.join(info.missing)} yet",
    }
    _table(None, [[name, text] for name, text in lines.items()])
    if info.sources:
        say("")
        _table(["value", "is", "from"], [list(source) for source in info.sources])
        say("† read off a figure")


def show_status(info: "StatusInfo") -> None:
    """Print how far a run is."""
    say(f"{info.run}: {info.state}, {info.done} of {info.total} trials", "bold")
    peak = info.peak
    lines = {
        "trials": f"{info.ok} ok, {info.diverged} diverged, {info.at_chance} at chance, {info.failed} failed, "
        f"{info.running} begun",
        "epochs": "; ".join(
            text
            for text in (
                f"{info.epochs:,.0f} trained",
                savings(info.epochs, info.epochs_saved, info.ended_early),
            )
            if text
        ),
        "last change": f"{duration(info.idle_seconds)} ago",
        "S*": info.reason if peak is None else interval(peak.noise_scale, peak.low, peak.high),
        "run": info.path,
    }
    _table(None, [[name, text] for name, text in lines.items()])
    if info.state in {"stopped", "interrupted"}:
        say(f"Go on with: sweeper resume {info.path}")


def show_verdict(found: "Verdict") -> None:
    """Print S* with its interval, what to be careful about, and the learning rates that follow."""
    from analysis.verdict import headline

    point, selection = found.point, found.selection
    if point is None:
        say(f"No critical noise scale: {found.reason}.", "bold yellow")
        return
    say(headline(point), "bold" if point.hump else "bold yellow")
    unit = UNITS[selection.metric]
    gain = interval(point.gain, point.gain_low, point.gain_high)
    say(f"Gain of merging there, in {unit} of {selection.split} {selection.metric}: {gain}")
    for split, (mean, low, high) in found.reported.items():
        say(f"… of {split} {selection.metric}, which the search did not see: {interval(mean, low, high)}")
    # Of a single batch size a warning says that nothing was tested.
    if found.collapse is not None and len(found.recommendations) > 1:
        say(f"Collapse: {COLLAPSES[found.collapse.verdict]}. {found.collapse.reason}")
    for warning in found.warnings:
        say(warning, "yellow")
    say("")
    _recommendations(found.recommendations)


def show_recommendation(recommendation: "Recommendation") -> None:
    """Print the learning rate for one batch size, what to expect there, and what a stable one would lose."""
    found = recommendation
    _recommendations([found])
    unit = UNITS[found.metric]
    say(f"Expected gain of merging, in {unit}: {interval(found.gain, found.gain_low, found.gain_high)}")
    if found.merged:
        reached = interval(found.merged.value, found.merged.low, found.merged.high)
        say(f"Expected {found.merged.metric} of the merge, in {MERGED_UNITS[found.merged.metric]}: {reached}")
    if found.stable is None:
        say("No learning rate up to this one was tried without a collapse.")
    else:
        lost = found.stable.lost
        differs = f"{abs(lost):.2g} {unit} {'less' if lost > 0 else 'more'} gain expected"
        say(f"Nearest learning rate tried without a collapse: {found.stable.lr:.3g}, {differs}")
    if found.note:
        say(f"{found.note[0].upper()}{found.note[1:]}.", "yellow")


def show_check(check: "Check") -> None:
    """Print one check of the doctor."""
    style = STYLES[check.result]
    output().print(f"[{style}]{check.result:5}[/]{check.what:9} {escape(check.text)}", soft_wrap=True)


def show_garbage(report: "GcReport", dry_run: bool) -> None:
    """Print what was removed, or would be."""
    verb = "would be removed" if dry_run else "removed"
    say(
        f"{report.objects} checkpoints ({size(report.bytes)}), {report.leases} dead leases and "
        f"{report.leftovers} leftover files {verb}; what is younger than an hour is kept."
    )


def show_ended(trials: int, path: str, report: Path) -> None:
    """Print where a finished run and its report are."""
    _table(None, [["trials", f"{trials}"], ["run", path], ["report", f"{report}"]])


def show_added(tally: "Tally") -> None:
    """Print what was added to a run, and what was left out and why."""
    before = f"; {tally.there} had it before" if tally.there else ""
    say(
        f"{tally.records:,} records and {tally.measurements:,} measurements added at {tally.branch_points:,} branch "
        f"points{before}; {tally.epochs:g} epochs trained"
    )
    if tally.left_out:
        say("Left out:", "bold")
        _table(["times", "why"], [[f"{count}", why] for why, count in tally.left_out.most_common()])


def _table(header: list[str] | None, rows: Iterable[list[str]]) -> None:
    table = Table(box=None, show_header=header is not None, header_style="bold", pad_edge=False)
    for name in header or [""] * 2:
        # A path is folded, not cut, where the terminal is too narrow for it.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    output().print(table)


def _per_trial(info: "RecipeInfo", scale: str) -> str:
    at = info.scales[scale]  # type: ignore[index]
    return f"{at.epochs / at.trials:,.0f}"


def _between(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.3g} to {high:.3g}"


def _recommendations(recommendations: Iterable["Recommendation"]) -> None:
    header = ["batch size", "momentum", "learning rate", "95% interval"]
    _table(
        header,
        [
            [f"{r.batch_size}", f"{r.momentum:g}", f"{r.lr:.3g}", _between(r.low, r.high)]
            for r in recommendations
        ],
    )


def _data(info: "PlanInfo") -> str:
    sizes = {plan.config.task.name: plan.data for plan in info.plans}
    return "; ".join(
        f"{name}, {data.train_size:,} to train on"
        + (" (published size: not here)" if data.task is None else "")
        for name, data in sizes.items()
    )


def _cost(info: "PlanInfo", cost: "CostInfo | None") -> str:
    if cost is None:
        here = all(plan.data.task is not None for plan in info.plans)
        why = "the recipe wants a GPU, and there is none here" if here else "the data are not here"
        return f"not timed: {'this version cannot run it' if info.missing else why}"
    together = f", {duration(cost.seconds / cost.slots)} on the {cost.slots} here" if cost.slots > 1 else ""
    kind = "GPU" if cost.device == "cuda" else "core"
    return (
        f"{duration(cost.seconds)} of training on one {kind}{together}; estimated from {cost.steps:,} timed steps, "
        "evaluation not included"
    )
