"""Measuring: accuracy and loss, batch norm after a merge, gain and its status."""

from sweeper.measuring.batchnorm import has_batchnorm, recalibrate
from sweeper.measuring.gain import (
    branch_values,
    chance_level,
    floor_of,
    gain,
    objective,
    objective_sem,
    selected,
    status,
)
from sweeper.measuring.merges import Meter, groups
from sweeper.measuring.metrics import Scores, evaluate

__all__ = [
    "Meter",
    "Scores",
    "branch_values",
    "chance_level",
    "evaluate",
    "floor_of",
    "gain",
    "groups",
    "has_batchnorm",
    "objective",
    "objective_sem",
    "recalibrate",
    "selected",
    "status",
]
