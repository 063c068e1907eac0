"""Simulated searches by four workers at a time, with and without what running trials foretell.

    python tests/analysis/parallel_search.py --repeats 30

A trial has four branch points, whose gains grow from .6 to 1.0 of the last one's, with noise .15 at each and .1 of the
trial's own; the peak moves by .1 decade from the first to the last. Trials take
between .6 and 1.4 times as long as usual.
"""

import argparse
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.search.acquisition import Observations, suggest
from analysis.search.fidelity import foretell

POINTS, WORKERS, TRIALS = 4, 4, 24
LOW, HIGH = -4.0, 0.0
GROWTH, DRIFT = np.linspace(0.6, 1.0, POINTS), np.linspace(-0.1, 0.0, POINTS)

SHAPES = {
    "unequal_widths": lambda u: np.where(u > 0.9, -8.0, np.exp(-0.5 * (u / np.where(u < 0, 0.8, 0.4)) ** 2)),
    "cliff_negative": lambda u: np.where(u > 0, -8.0, np.exp(-0.5 * (u / 0.8) ** 2)),
    "symmetric": lambda u: np.exp(-0.5 * (u / 0.6) ** 2),
}


@dataclass
class Search:
    """One search; with `views`, the posterior also has what running trials foretell."""

    shape: str
    seed: int
    views: bool
    measured: int = 0
    """Branch points."""
    x: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    seen: list[dict[int, float]] = field(default_factory=list)
    """Views of complete trials, in the order they ended, as `x` and `gain` are."""
    running: dict[int, tuple[float, np.ndarray, dict[int, float]]] = field(default_factory=dict)
    """By number: place, gains at its branch points, and views so far."""

    def __post_init__(self):
        self.peak = np.random.default_rng(self.seed).uniform(-2.8, -1.2)

    def gains(self, x):
        """Return gains (n, 4) at x (n,), without noise."""
        return 1.15 * GROWTH * SHAPES[self.shape](np.asarray(x)[:, None] - self.peak - DRIFT)

    @property
    def truth(self):
        grid = np.linspace(LOW, HIGH, 4001)
        return grid[self.gains(grid).mean(axis=1).argmax()]

    def known(self, views):
        told = Observations.of(self.x, self.gain, np.full(len(self.x), "ok"))
        if not views:
            return told
        rows = [(x, *foretell(seen, self.seen, self.x, self.gain)) for x, _, seen in self.running.values()]
        return told.with_foretold(*np.array(rows).reshape(-1, 3).T)

    def start(self, number):
        """Start a trial and return how long one of its branch points takes."""
        pending = [x for x, _, _ in self.running.values()]
        rng = np.random.default_rng([self.seed, number])
        place = suggest(self.known(self.views), pending, LOW, HIGH, rng)
        noise = np.random.default_rng([self.seed, number, 1])
        own = 0.1 * noise.standard_normal() + 0.15 * noise.standard_normal(POINTS)
        self.running[number] = place, self.gains([place])[0] + own, {}
        return noise.uniform(0.6, 1.4)

    def run(self) -> Iterator[None]:
        """Yield after each branch point, until 24 trials are complete."""
        speed = [self.start(number) for number in range(WORKERS)]
        events = [(each, number) for number, each in enumerate(speed)]
        heapq.heapify(events)
        while len(self.x) < TRIALS:
            time, number = heapq.heappop(events)
            place, gains, seen = self.running[number]
            seen[len(seen) + 1] = float(gains[: len(seen) + 1].mean())
            self.measured += 1
            if len(seen) == POINTS:
                del self.running[number]
                self.x.append(place)
                self.gain.append(float(gains.mean()))
                self.seen.append(seen)
            yield
            if len(seen) == POINTS:
                number = len(speed)
                speed.append(self.start(number))
            heapq.heappush(events, (time + speed[number], number))

    def look(self, views):
        """Return S*, its error in decades, whether its interval holds the truth, and how wide that is."""
        posterior = self.known(views).posterior(np.random.default_rng(0))
        (low, high), place = posterior.interval(), float(np.median(posterior.argmax_draws))
        return {
            "place": place,
            "error": abs(place - self.truth),
            "covered": low <= self.truth <= high,
            "width": high - low,
        }


def compare(shape, seed) -> Iterator[dict]:
    """Yield S* from complete trials of searches with and without views; and `live`, from what is foretold as well."""
    for views in (False, True):
        search, looked = Search(shape, seed, views), 0
        for _ in search.run():
            at = [f"{search.measured} branch points"] if search.measured in (48, 64, 80) else []
            if len(search.x) > looked and len(search.x) in (12, 16, 20, 24):
                looked = len(search.x)
                at.append(f"{looked} trials")
            for tag in at:
                row = {"shape": shape, "seed": seed, "at": tag}
                yield row | {"search": "views" if views else "plain"} | search.look(views=False)
                if views:
                    yield row | {"search": "live"} | search.look(views=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, by shape, moment and search, errors, coverage, width, and by how much less a plain search errs.

    `moved` is the rms difference between its S* and that of the plain search.
    """
    rows = rows.assign(square=rows.error**2, hit=rows.error <= np.log10(1.25))
    plain = rows[rows.search == "plain"].set_index(["shape", "seed", "at"])
    keys = pd.MultiIndex.from_frame(rows[["shape", "seed", "at"]])
    rows["gained"] = plain.error.reindex(keys).to_numpy() - rows.error
    rows["moved"] = (plain.place.reindex(keys).to_numpy() - rows.place) ** 2
    rows = pd.concat([rows, rows.assign(shape="all")])
    table = rows.groupby(["shape", "at", "search"]).agg(
        repeats=("error", "size"),
        mean=("error", "mean"),
        rms=("square", lambda each: each.mean() ** 0.5),
        median=("error", "median"),
        hit=("hit", "mean"),
        covered=("covered", "mean"),
        width=("width", "median"),
        gained=("gained", "mean"),
        gained_sem=("gained", "sem"),
        moved=("moved", lambda each: each.mean() ** 0.5),
    )
    return table.round(3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    found = [
        row for seed in range(parser.parse_args().repeats) for shape in SHAPES for row in compare(shape, seed)
    ]
    print(summary(pd.DataFrame(found)).to_string())
