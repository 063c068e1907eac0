"""Tempered sequential Monte Carlo with differential-evolution moves, over any prior and likelihood.

| symbol | shape  | meaning                                                              |
|--------|--------|----------------------------------------------------------------------|
| θ      | (N, k) | particles; the prior's draws may be more than N                      |
| β      | scalar | power of the likelihood: rises from 0 to `power`                     |
| γ      | (N,)   | length of a move: 2.38/√(2k′)·exp(.4z − .2), k′ coordinates crossed  |

Sources: Del Moral, Doucet & Jasra (2006), SMC samplers; ter Braak (2006), differential evolution MCMC.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]
"""Maps particles (N, k) to log densities (N,), up to a constant; −inf outside the support."""

CROSSOVER_RATES = (0.3, 0.6, 1.0)
JITTER = 0.003


def tempered_smc(
    prior_draws: Array,
    log_prior: LogDensity,
    log_likelihood: LogDensity,
    rng: np.random.Generator,
    *,
    size: int,
    power: float = 1.0,
    moves: int = 12,
    final_moves: int = 32,
) -> Array:
    """Return draws (size · final_moves / 2, k) from prior × likelihood^power.

    Each temperature is the largest at which `size` / 2 particles remain effective. At the last one every
    second population is kept.
    """
    particles, likelihood = prior_draws, log_likelihood(prior_draws)
    beta = 0.0
    while beta < power:
        step = _largest_step(likelihood, power - beta, effective=size / 2)
        chosen = _systematic(np.exp(step * (likelihood - likelihood.max())), size, rng)
        particles, likelihood = particles[chosen], likelihood[chosen]
        beta += step
        kept = []
        prior = log_prior(particles)
        for move in range(moves if beta < power else final_moves):
            proposal = _propose(particles, rng)
            proposed_prior, proposed_likelihood = log_prior(proposal), log_likelihood(proposal)
            log_ratio = proposed_prior - prior + beta * (proposed_likelihood - likelihood)
            accepted = np.log1p(-rng.random(size)) < log_ratio
            particles = np.where(accepted[:, None], proposal, particles)
            prior = np.where(accepted, proposed_prior, prior)
            likelihood = np.where(accepted, proposed_likelihood, likelihood)
            if move % 2:
                kept.append(particles)
    return np.concatenate(kept)


def _largest_step(likelihood: Array, remaining: float, effective: float) -> float:
    """Return the largest rise of β ≤ `remaining` that keeps Σ(w)²/Σ(w²) ≥ `effective`."""
    relative = likelihood - likelihood.max()

    def enough(step: float) -> bool:
        weight = np.exp(step * relative)
        return bool(weight.sum() ** 2 >= effective * (weight @ weight))

    if enough(remaining):
        return remaining
    low, high = 0.0, remaining
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return high


def _systematic(weight: Array, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return `size` indices; index i appears within one of size · weight_i / Σ weight times."""
    share = np.cumsum(weight)
    chosen: NDArray[np.intp] = np.searchsorted(share, (np.arange(size) + rng.random()) / size * share[-1])
    return chosen


def _propose(particles: Array, rng: np.random.Generator) -> Array:
    """Return θ_i + γ (θ_j − θ_l) + jitter on a random subset of coordinates; i, j, l differ."""
    size, dimension = particles.shape
    one = rng.integers(1, size, size)
    other = rng.integers(1, size - 1, size)
    other += other >= one
    index = np.arange(size)
    difference = particles[(index + one) % size] - particles[(index + other) % size]
    crossed = rng.random((size, dimension)) < rng.choice(CROSSOVER_RATES, size)[:, None]
    # A move that crosses nothing would be wasted.
    crossed[index, rng.integers(dimension, size=size)] = True
    length = 2.38 / np.sqrt(2 * crossed.sum(axis=1)) * np.exp(0.4 * rng.standard_normal(size) - 0.2)
    jitter = JITTER * rng.standard_normal((size, dimension))
    proposal: Array = particles + crossed * (length[:, None] * difference + jitter)
    return proposal
