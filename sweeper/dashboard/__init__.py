"""The live view: what a run's ledger holds as an Optuna study, for optuna-dashboard. It only reads."""

from sweeper.dashboard.study import Look, mirror

__all__ = ["Look", "mirror"]
