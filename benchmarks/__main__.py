"""`python -m benchmarks [--only NAME] [--rounds N]`: prints the tables of benchmarks/README.md."""

import argparse
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    alignment,
    branch_workers,
    demo,
    epochs,
    merging,
    overhead,
    replicas,
    requests,
    train_epoch,
)

BENCHMARKS = {
    "train_epoch": train_epoch.main,
    "epochs": epochs.main,
    "overhead": overhead.main,
    "demo": demo.main,
    "branch_workers": branch_workers.main,
    "requests": requests.main,
    "replicas": replicas.main,
    "alignment": alignment.main,
    "merging": merging.main,
}
PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy")


def machine() -> str:
    """Return one line that names the machine, how busy it is, and the versions that matter."""
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{date.today()}: {os.cpu_count()} cores, {processor()}, load {load:.1f} at the start; {packages}."


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Run what the command line names, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(machine(), flush=True)
    for name, measure in BENCHMARKS.items():
        if asked.only in {None, name}:
            print(f"\n## {name}\n\n{measure(asked.rounds)}", flush=True)


main()
