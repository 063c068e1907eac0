"""How far a run is, from its ledger alone: whoever runs it need not be asked."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Literal

from analysis.reading import read_run_info, read_trials
from analysis.verdict import headline, verdict
from search_spaces.recipe import Recipe, parse_recipe
from sweeper.store import Ledger


@dataclass(frozen=True)
class Peak:
    """S* and the gain there, each with its 95% interval."""

    noise_scale: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    hump_probability: float
    interior: bool


@dataclass(frozen=True)
class StatusInfo:
    """One look at a run; counts are trials."""

    run: str
    path: str
    recipe: str
    scale: str
    state: Literal["done", "running", "stopping", "stopped", "interrupted"]
    """`stopping`: a stop was asked for and trials end at their next branch point. `interrupted`: nobody runs it;
    a driver that died on another machine is taken for alive until its lease ends, within minutes."""
    total: int
    ok: int
    diverged: int
    at_chance: int
    failed: int
    running: int
    """Begun without an outcome: running, or interrupted."""
    epochs: float
    """Trained, as far as outcomes tell."""
    ended_early: int
    """Hopeless trials that were ended before their last branch point; finished ones too."""
    epochs_saved: float
    """By ending them."""
    idle_seconds: float
    """Since a trial began or ended."""
    peak: Peak | None
    reason: str
    """Why there is no peak, or none yet; empty if there is one."""

    @property
    def done(self) -> int:
        """How many trials are finished."""
        return self.ok + self.diverged + self.at_chance

    def to_json(self) -> str:
        """Return one JSON object with all fields, `done` among them."""
        return json.dumps({**asdict(self), "done": self.done}, indent=2)


def status_info(path: str) -> StatusInfo:
    """Return how far the run at `path` is.

    Raises:
        RunError: if `path` holds no run, or a damaged one.
    """
    info, trials = read_run_info(path), read_trials(path)
    recipe = parse_recipe(info.recipe)
    ledger = Ledger.at(path)
    counts = {status: int((trials["status"] == status).sum()) for status in trials["status"].unique()}
    done = sum(counts.get(status, 0) for status in ("ok", "diverged", "at_chance"))
    # A run may have been given more --trials later than its head says.
    total = max(recipe.planned_trials, ledger.requested_trials(), len(trials))
    found = verdict(path)
    point = found.point
    return StatusInfo(
        run=ledger.run,
        path=path,
        recipe=recipe.name,
        scale=recipe.scale,
        state="done" if done >= total or _ended_itself(recipe, ledger) else _state(ledger),
        total=total,
        ok=counts.get("ok", 0),
        diverged=counts.get("diverged", 0),
        at_chance=counts.get("at_chance", 0),
        failed=counts.get("failed", 0),
        running=counts.get("running", 0),
        epochs=float(trials["epochs_trained"].sum()),
        ended_early=int((trials["epochs_saved"] > 0).sum()),
        epochs_saved=float(trials["epochs_saved"].sum()),
        idle_seconds=time.time() - float(trials["time"].max() if len(trials) else info.time),
        peak=None
        if point is None or not point.hump
        else Peak(**{field: getattr(point, field) for field in Peak.__dataclass_fields__}),
        reason=found.reason if point is None else "" if point.hump else headline(point),
    )


def _ended_itself(recipe: Recipe, ledger: Ledger) -> bool:
    """Return whether the search's stopping rule has ended it."""
    if recipe.search.stop is None:
        return False
    from sweeper.tuning.search.told import explain, finished, stopping  # loads torch

    ended = finished(recipe.search, ledger.suggestions(), ledger.outcomes())
    return bool(explain(stopping(recipe, ledger, ended.values())))


def _state(ledger: Ledger) -> Literal["running", "stopping", "stopped", "interrupted"]:
    """Return what goes on in a run that isn't done."""
    if ledger.stop_requested():
        return "stopping" if ledger.driven() else "stopped"
    return "running" if ledger.driven() else "interrupted"
