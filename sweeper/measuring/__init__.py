"""Measuring: accuracy and loss, batch norm after a merge, gain and its status; further measures by name."""

from sweeper.measuring.batchnorm import has_batchnorm, recalibrate
from sweeper.measuring.fisher import fisher_diagonal
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
from sweeper.measuring.measures import MEASURES, Site, measure
from sweeper.measuring.merges import Meter, groups
from sweeper.measuring.metrics import Scores, evaluate

__all__ = [
    "MEASURES",
    "Meter",
    "Scores",
    "Site",
    "branch_values",
    "chance_level",
    "evaluate",
    "fisher_diagonal",
    "floor_of",
    "gain",
    "groups",
    "has_batchnorm",
    "measure",
    "objective",
    "objective_sem",
    "recalibrate",
    "selected",
    "status",
]
