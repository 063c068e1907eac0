"""`python -m benchmarks.critical_noise [--repeats N] [--families …] [--arms …] [--out FILE]`: the tables, in Markdown.

Every repeat draws a hump, and every arm searches that same hump; the numbers of repeats are the same for all arms
of one run. All designs are read by `analysis.critical_point`, so that only the choice of the points differs.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd

from benchmarks.critical_noise.humps import FAMILIES, WITHOUT_PEAK
from benchmarks.critical_noise.measure import ARMS, measure
from benchmarks.critical_noise.summary import summary

COLUMNS = [
    "family",
    "repeat",
    "arm",
    "trials",
    "stopped",
    "seconds",
    "estimate",
    "error",
    "regret",
    "covered",
]
COLUMNS += ["claimed", "low", "high"]


def main() -> None:
    """Run what the command line asks for; what the CSV holds already is not run again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.critical_noise", description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--families", nargs="*", choices=[*FAMILIES, *WITHOUT_PEAK], metavar="FAMILY")
    parser.add_argument("--arms", nargs="*", choices=ARMS, metavar="ARM")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--out", type=Path, default=Path("critical_noise.csv"), help="Every estimate, as CSV."
    )
    asked = parser.parse_args()
    known = pd.read_csv(asked.out) if asked.out.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(zip(known["family"], known["repeat"], strict=True))
    families = asked.families or [*FAMILIES, *WITHOUT_PEAK]
    waiting = [(f, r) for r in range(asked.repeats) for f in families if (f, r) not in done]
    if not asked.out.exists():
        known.to_csv(asked.out, index=False)
    with ProcessPoolExecutor(asked.workers) as pool:
        running = [pool.submit(measure, *task, asked.arms or list(ARMS)) for task in waiting]
        for index, finished in enumerate(as_completed(running), 1):
            rows = pd.DataFrame(finished.result(), columns=COLUMNS)
            rows.to_csv(asked.out, mode="a", header=False, index=False)
            print(f"{index} of {len(waiting)}", file=sys.stderr)
    print(summary(pd.read_csv(asked.out)))


if __name__ == "__main__":
    main()
