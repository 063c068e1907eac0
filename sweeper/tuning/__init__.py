"""Tuning: which trials run, where, and what happens when they die."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.tuning.cluster import ClusterError
    from sweeper.tuning.job import default_name, grid_order
    from sweeper.tuning.launch import Run, resume, run
    from sweeper.tuning.preflight import check_nodes, check_recipe
    from sweeper.tuning.progress import Listener, Progress
    from sweeper.tuning.search.critical_noise import CriticalNoiseSampler
    from sweeper.tuning.second_stage import Measuring, Tally, measure
    from sweeper.tuning.support import unsupported

__all__ = [
    "ClusterError",
    "CriticalNoiseSampler",
    "Listener",
    "Measuring",
    "Progress",
    "Run",
    "Tally",
    "check_nodes",
    "check_recipe",
    "default_name",
    "grid_order",
    "measure",
    "resume",
    "run",
    "unsupported",
]

_HOMES = {
    **dict.fromkeys(("Run", "resume", "run"), "launch"),
    **dict.fromkeys(("Measuring", "Tally", "measure"), "second_stage"),
    **dict.fromkeys(("check_nodes", "check_recipe"), "preflight"),
    **dict.fromkeys(("Listener", "Progress"), "progress"),
    **dict.fromkeys(("default_name", "grid_order"), "job"),
    "ClusterError": "cluster",
    "CriticalNoiseSampler": "search.critical_noise",
    "unsupported": "support",
}


def __getattr__(name: str) -> Any:
    # Ray takes seconds to import; plans and lists do without it.
    if name in _HOMES:
        return getattr(import_module(f"sweeper.tuning.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
