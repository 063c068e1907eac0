"""When a search is done: its peak is located, or so flat that locating it better gains nothing."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analysis.critical_point import CLAIM, GRID, THIN
from analysis.hump.posterior import HumpPosterior
from analysis.search.acquisition import Observations

IN_A_ROW = 3
"""Posteriors that must agree: one alone may be sure by luck, and a search looks at many."""

Reason = Literal["located", "plateau"]


@dataclass
class Stopping:
    """The stopping rule of one search; show it one posterior per finished trial."""

    within: float = 1.25
    mass: float = 0.95
    regret: float = 0.02
    """Share of the peak's gain that does not matter."""
    reason: Reason | None = field(default=None, init=False)
    """Why the search is done: once set, it stays."""
    trials: int = field(default=0, init=False)
    """After how many trials it was done, 0 while it isn't."""
    _agreeing: dict[Reason, int] = field(
        default_factory=lambda: {"located": 0, "plateau": 0}, init=False, repr=False
    )

    def see(self, posterior: HumpPosterior) -> Reason | None:
        """Take up the posterior after one more trial, and return why the search is done, None while it isn't.

        It is `located` when the posterior mass within a factor `within` of the median of S* reaches `mass` for
        the third time in a row; on a `plateau` when the probability that S* loses no more than `regret` of the
        peak does. Neither counts unless a hump is claimed: at an edge there is nothing to locate.
        """
        hump = posterior.hump_probability() > CLAIM
        met: dict[Reason, bool] = {
            "located": hump and located_mass(posterior, self.within) >= self.mass,
            "plateau": hump and flat_mass(posterior, self.regret) >= self.mass,
        }
        for reason, holds in met.items():
            self._agreeing[reason] = self._agreeing[reason] + 1 if holds else 0
            if self._agreeing[reason] == IN_A_ROW and self.reason is None:
                self.reason, self.trials = reason, len(posterior.x)
        return self.reason

    def see_trials(self, trials: Observations) -> Reason | None:
        """Take up the posterior after these trials; too few to have one leave everything as it is."""
        if trials.informative:
            self.see(trials.posterior(np.random.default_rng(len(trials.x))))
        return self.reason

    def replay(self, trials: Observations) -> Reason | None:
        """Take up the posteriors after each of `trials`, in the order they finished, until the search is done."""
        for count in range(1, len(trials.x) + 1):
            if self.see_trials(trials.first(count)):
                break
        return self.reason


def located_mass(posterior: HumpPosterior, within: float) -> float:
    """Return P(|log10 S* − median| ≤ log10 `within`)."""
    draws = posterior.argmax_draws
    return float(np.mean(np.abs(draws - np.median(draws)) <= math.log10(within)))


def flat_mass(posterior: HumpPosterior, regret: float) -> float:
    """Return P(T − f(S*) ≤ `regret` |T|), S* being the argmax of the posterior mean curve in the measured range."""
    grid = np.linspace(posterior.x[0], posterior.x[-1], GRID)
    curves, peaks = posterior.curves(grid, THIN), posterior.peaks(THIN)
    best = int(curves.mean(axis=0).argmax())
    return float(np.mean(peaks - curves[:, best] <= regret * np.abs(peaks)))
