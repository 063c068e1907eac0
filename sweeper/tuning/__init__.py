"""Tuning: which trials run, where, and what happens when they die."""

from sweeper.tuning.cluster import ClusterError
from sweeper.tuning.launch import Run, default_name, resume, run
from sweeper.tuning.preflight import check_nodes, check_recipe, unsupported
from sweeper.tuning.progress import Listener, Progress
from sweeper.tuning.searcher import grid_order

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
