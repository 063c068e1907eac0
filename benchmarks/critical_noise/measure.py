"""One repeat: every arm searches one hump, and what it says after so many trials is compared with the truth."""

import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from analysis.critical_point import critical_point
from benchmarks.critical_noise.humps import FAMILIES, WITHOUT_PEAK, Hump
from benchmarks.critical_noise.oracle import Oracle
from benchmarks.critical_noise.ours import ours
from benchmarks.critical_noise.peers import CHECKPOINTS, PEERS, Search, Trials

ORACLE, OURS = "oracle", "critical_noise"
ARMS = (OURS, *PEERS, ORACLE)


def measure(family: str, repeat: int, arms: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per arm and checkpoint, and one where the stopping rule fires."""
    hump = (FAMILIES | WITHOUT_PEAK)[family](np.random.default_rng([2, repeat]))
    rows = []
    for arm in arms:
        found = _oracle(family, hump, repeat) if arm == ORACLE else _search(arm, hump, repeat)
        rows += [{"family": family, "repeat": repeat, "arm": arm, **row} for row in found]
    return rows


@cache
def _known(family: str) -> Oracle:
    return Oracle(FAMILIES[family])


def _oracle(family: str, hump: Hump, repeat: int) -> Iterator[dict[str, Any]]:
    if family in WITHOUT_PEAK:
        return
    for count, (_, place) in enumerate(_known(family).search(hump, CHECKPOINTS[-1], repeat), 1):
        if count in CHECKPOINTS:
            yield {"trials": count, **_scores(hump, place)}


def _search(arm: str, hump: Hump, repeat: int) -> Iterator[dict[str, Any]]:
    search: Search = ours if arm == OURS else PEERS[arm]
    started, seconds = time.process_time(), 0.0
    for count, seen in enumerate(search(hump, CHECKPOINTS[-1], repeat), 1):
        seconds += time.process_time() - started
        if count in CHECKPOINTS or seen.stopped == count:
            yield {"trials": count, "seconds": seconds, **_estimate(hump, seen, repeat)}
        started = time.process_time()


def _estimate(hump: Hump, seen: Trials, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"stopped": seen.reason if seen.stopped == len(seen.x) else ""}
    try:
        point = critical_point(10.0 ** np.array(seen.x), seen.gain, status=seen.status, seed=seed)
    except ValueError:  # Too few trials with a gain.
        return row
    low, high = np.log10([point.low, point.high])
    row |= {"claimed": point.hump and point.interior, "low": low, "high": high}
    if np.isfinite(hump.peak):
        # Without a claim there is no interval, and nothing to cover.
        if point.hump:
            row["covered"] = bool(low <= hump.peak + hump.half and hump.peak - hump.half <= high)
        row |= _scores(hump, float(np.log10(point.noise_scale)))
    return row


def _scores(hump: Hump, place: float) -> dict[str, Any]:
    return {"estimate": place, "error": hump.distance(place), "regret": hump.regret(place)}
