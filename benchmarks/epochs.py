"""Epochs trained per merge point: exactly N + 2mD over m merge points with a shared trunk."""

import tempfile

from benchmarks.timing import table
from search_spaces import TrialConfig, load_recipe
from search_spaces.paths import apply_overrides
from sweeper.store import Store
from sweeper.trial import run_trial

TRUNK, EVERY, DECAY = 45, 15, 8
"""N, N/m and D of the demo, in epochs."""


def main(rounds: int) -> str:
    """Run the demo's trial with two branches and return what it trained beside the formulas."""
    m, trained = epochs_trained(TRUNK, EVERY, DECAY)
    shared, alone = TRUNK + 2 * m * DECAY, TRUNK * (m + 1) + 2 * m * DECAY
    return table(
        ["epochs trained", "total", "per merge point"],
        [
            [f"sweeper, counted in a run of m = {m}", f"**{trained:g}**", f"{trained / m:g}"],
            [f"bar: N + 2mD = {TRUNK} + 2·{m}·{DECAY}", f"{shared}", f"{shared / m:g}"],
            [
                f"without a shared trunk: N(m + 1) + 2mD = {TRUNK}·{m + 1} + 2·{m}·{DECAY}",
                f"{alone}",
                f"{alone / m:g}",
            ],
        ],
    )


def epochs_trained(trunk: int, every: int, decay: int) -> tuple[int, float]:
    """Return the merge points of one trial, and the epochs that its stages say were trained."""
    changes = {
        "trunk/epochs": trunk,
        "trunk/branch_every": every,
        "branch/decay_epochs": decay,
        "branch/count": 2,
    }
    config = apply_overrides(load_recipe("digits", "cpu").base.model_dump(mode="json"), changes)
    with tempfile.TemporaryDirectory() as store:
        stages = list(run_trial(TrialConfig.model_validate(config), Store(store)))
    return len(stages), sum(sum(stage.trained.values()) for stage in stages)
