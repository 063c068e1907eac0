"""Tuning: which trials run, where, and what happens when they die."""

from sweeper.tuning.launch import Run, default_name, grid_order, resume, run
from sweeper.tuning.preflight import ClusterError, check_nodes, check_recipe, unsupported
from sweeper.tuning.progress import Listener, Progress

__all__ = [
    "ClusterError",
    "Listener",
    "Progress",
    "Run",
    "check_nodes",
    "check_recipe",
    "default_name",
    "grid_order",
    "resume",
    "run",
    "unsupported",
]
