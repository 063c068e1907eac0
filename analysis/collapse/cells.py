"""The trials of a sweep as cells of a grid: logarithms of what was set, and the curve each trial is on.

| symbol | shape  | meaning                                                                            |
|--------|--------|------------------------------------------------------------------------------------|
| x      | (n,)   | log10 of the expected axis lr / (B^b₀ (1 − μ)^c₀)                                  |
| Z      | (p, n) | log10 of B, 1 − μ and 1/λ less their means over trials, as far as they vary         |
| β      | (p,)   | by how much the peak's lr grows with each beyond b₀, c₀: the peak is at x = m + βZ |

A curve is what shares B, μ and λ: only lr varies along it.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.hump.model import Mask, Scale
from analysis.hump.smc import Array

MOST_CELLS = 120
SAME = 1e-9
"""Logarithms closer than this are equal."""


@dataclass(frozen=True)
class Cells:
    """Trials, ordered by curve and along it by lr; gains are in the caller's unit."""

    lr: Array
    batch_size: NDArray[np.int64]
    momentum: Array
    weight_decay: Array
    gain: Array
    """NaN where a trial diverged or is low."""
    sem: Array
    at_chance: Mask
    measured: Array
    """S_eff; NaN where it was not measured, nor tr Σ on the curve of a trial that diverged."""
    curve: NDArray[np.int64]
    """0, 1, …: which curve each trial is on."""
    expected: tuple[float, float]
    """(b₀, c₀), the exponents of batch size and of 1 − momentum that are put to the test."""

    @classmethod
    def of(
        cls,
        lr: ArrayLike,
        batch_size: ArrayLike,
        momentum: ArrayLike,
        gain: ArrayLike,
        *,
        sem: ArrayLike | None,
        status: ArrayLike | None,
        weight_decay: ArrayLike | None,
        measured: ArrayLike | None,
        expected: tuple[float, float],
        rng: np.random.Generator,
    ) -> Self:
        """Return the cells of trials, failed ones left out; for the arguments see `find_collapse`.

        Of more than `MOST_CELLS`, neighbours on a curve that ended alike are averaged.

        Raises:
            ValueError: if lengths differ, or lr is not positive.
        """
        n = np.size(lr)
        columns = {
            "lr": lr,
            "batch_size": batch_size,
            "momentum": momentum,
            "weight_decay": 0.0 if weight_decay is None else weight_decay,
            "gain": gain,
            "sem": np.nan if sem is None else sem,
            "measured": np.nan if measured is None else measured,
            "status": "ok" if status is None else status,
        }
        for name, values in columns.items():
            if np.size(values) not in (1, n):
                raise ValueError(f"{name} has {np.size(values)} values and lr {n}: give one per trial")
        rows = pd.DataFrame({name: np.broadcast_to(np.asarray(v), n) for name, v in columns.items()})
        if not (rows["lr"] > 0).all():
            raise ValueError(f"lr {rows['lr'].min()} is not positive: an axis is a power of it")
        rows = rows[rows["status"] != "failed"].astype({"gain": float, "sem": float, "measured": float})
        rows["gain"] = rows["gain"].where(~rows["status"].isin(["diverged", "low"]))
        rows.loc[rows["gain"].isna(), "status"] = "diverged"
        setting = ["batch_size", "momentum", "weight_decay"]
        rows["curve"] = rows.groupby(setting).ngroup()
        rows["measured"] = _with_diverged(rows)
        if len(rows) > MOST_CELLS:
            rows = _averaged(rows)
        # Ties in lr are shuffled: ordered by gain, their differences would understate the noise.
        rows = rows.sort_values(["curve", "lr", "gain", "status"], ignore_index=True)
        rows = rows.iloc[rng.permutation(len(rows))].sort_values(["curve", "lr"], kind="stable")
        return cls(
            **{
                name: rows[name].to_numpy(float)
                for name in ("lr", "momentum", "weight_decay", "gain", "sem", "measured")
            },
            batch_size=rows["batch_size"].to_numpy(np.int64),
            at_chance=(rows["status"] == "at_chance").to_numpy(),
            curve=rows["curve"].to_numpy(np.int64),
            expected=expected,
        )

    def __len__(self) -> int:
        return len(self.lr)

    def where(self, mask: Mask) -> Self:
        """Return the cells at which `mask` is true."""
        columns = (field.name for field in fields(self) if field.name != "expected")
        return replace(self, **{name: getattr(self, name)[mask] for name in columns})

    @property
    def x(self) -> Array:
        """log10 of the expected axis."""
        return on_axis(self.lr, self.batch_size, self.momentum, self.expected)

    @property
    def expected_exponents(self) -> dict[str, float]:
        """What is expected of b, c and d: the weight decay is no part of the axis."""
        return {"b": self.expected[0], "c": self.expected[1], "d": 0.0}

    @cached_property
    def _logs(self) -> dict[str, Array]:
        logs = {"b": np.log10(self.batch_size), "c": np.log10(1 - self.momentum)}
        # Where λ is 0 somewhere its logarithm says nothing: such curves shift at random.
        if (self.weight_decay > 0).all():
            logs["d"] = -np.log10(self.weight_decay)
        return {name: log for name, log in logs.items() if np.ptp(log) > SAME}

    @property
    def regressor_means(self) -> dict[str, float]:
        """What was subtracted from each row of Z."""
        return {name: float(log.mean()) for name, log in self._logs.items()}

    @cached_property
    def regressors(self) -> dict[str, Array]:
        """The rows of Z by exponent: b of B, c of 1 − μ, d of 1/λ, each only where it varies."""
        return {name: log - log.mean() for name, log in self._logs.items()}

    @cached_property
    def without(self) -> Mask:
        """Trials without a gain of their own: diverged or at chance."""
        return np.isnan(self.gain) | self.at_chance

    @property
    def known_error(self) -> float:
        """Median of the known standard errors, 0 without any."""
        known = np.isfinite(self.sem)
        return float(np.median(self.sem[known])) if known.any() else 0.0

    @cached_property
    def scale(self) -> Scale:
        """Height, noise and floor of the gains; neighbours are those on one curve."""
        return Scale.of(np.where(self.without, -np.inf, self.gain), self.known_error)

    @cached_property
    def censored(self) -> Mask:
        """Cells that count only as "low"."""
        return self.without | (self.gain <= self.scale.floor)

    @cached_property
    def floored(self) -> Array:
        """Gains, censored ones at the floor."""
        return np.where(self.censored, self.scale.floor, self.gain)

    @cached_property
    def before_collapse(self) -> Mask:
        """Cells but for those past the collapse: on each curve, from the first censored one right of its best."""
        kept = np.ones(len(self), bool)
        for curve in np.unique(self.curve):
            cells = np.flatnonzero(self.curve == curve)
            best = self.floored[cells].argmax()
            lost = np.flatnonzero(self.censored[cells][best:])
            if len(lost):
                kept[cells[best + lost[0] :]] = False
        return kept


def _with_diverged(rows: pd.DataFrame) -> pd.Series:
    """Return S_eff of `rows`; where training diverged before it could be measured, with tr Σ of the nearest lr."""
    measured = rows["measured"].copy()
    for _, curve in rows.groupby("curve"):
        known, lost = curve[curve["measured"] > 0], curve[curve["measured"].isna() & curve["gain"].isna()]
        if len(known):
            decades = np.abs(np.log10(lost[["lr"]].to_numpy() / known["lr"].to_numpy()))
            nearest = known.iloc[decades.argmin(axis=1)]
            # Along a curve S grows as lr.
            measured[lost.index] = nearest["measured"].to_numpy() * lost["lr"] / nearest["lr"].to_numpy()
    return measured


def _averaged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows in which neighbours on a curve that ended alike are one: about `MOST_CELLS`."""
    rows = rows.sort_values(["curve", "lr", "gain"]).assign(lr=np.log(rows["lr"]), sem=rows["sem"] ** 2)
    size = math.ceil(len(rows) / MOST_CELLS)
    rows["rank"] = rows.groupby(["curve", "status"]).cumcount() // size
    gathered = rows.groupby(["curve", "status", "rank"])
    means = gathered.mean().reset_index()
    return means.assign(lr=np.exp(means["lr"]), sem=(means["sem"] / gathered.size().to_numpy()) ** 0.5)


def on_axis(
    lr: ArrayLike, batch_size: ArrayLike, momentum: ArrayLike, exponents: tuple[float, float]
) -> Array:
    """Return log10 of lr / (B^b (1 − μ)^c), exponents = (b, c)."""
    b, c = exponents
    place: Array = (
        np.log10(np.asarray(lr, float))
        - b * np.log10(np.asarray(batch_size, float))
        - c * np.log10(1 - np.asarray(momentum, float))
    )
    return place
