"""Train pairs of networks, merge them, and find the training noise at which merging gains most.

>>> import search_spaces, sweeper                                            # doctest: +SKIP
>>> run = sweeper.run(search_spaces.load_recipe("digits"), storage="runs", trials=40)      # doctest: +SKIP
>>> run.path, run.status, run.critical_point                                 # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.tuning import Run, resume, run

__all__ = ["Run", "resume", "run"]


def __getattr__(name: str) -> Any:
    # Ray and torch take seconds to import; the command line must answer before that.
    if name in __all__:
        from sweeper import tuning

        return getattr(tuning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
