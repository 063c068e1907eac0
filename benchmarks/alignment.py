"""Weight matching of two ResNet-18 with random parameters, on all cores: seconds from state dicts to permutations."""

import os
import time
from statistics import median

import torch

from benchmarks.timing import table
from sweeper.alignment import permutation_spec, weight_matching
from sweeper.models import MODELS

BAR_SECONDS = 60


def main(rounds: int) -> str:
    """Match fresh pairs and return the wall and processor seconds of a match."""
    torch.set_num_threads(os.cpu_count() or 1)
    walls, processor = zip(*(match_seconds(seed) for seed in range(rounds)), strict=True)
    return table(
        ["weight matching of two ResNet-18", "wall", "processor", "bar"],
        [
            [
                f"{rounds} pairs, {torch.get_num_threads()} threads",
                f"{median(walls):.1f} s ({min(walls):.1f}–{max(walls):.1f})",
                f"{median(processor):.1f} s ({min(processor):.1f}–{max(processor):.1f})",
                f"{BAR_SECONDS} s",
            ]
        ],
    )


def match_seconds(seed: int) -> tuple[float, float]:
    """Return wall and processor seconds of one match."""
    torch.manual_seed(seed)
    pair = [MODELS["resnet18"]((3, 32, 32), 10) for _ in range(2)]
    spec = permutation_spec("resnet18", pair[0])
    started = time.perf_counter(), time.process_time()
    weight_matching(pair[0].state_dict(), pair[1].state_dict(), spec, seed)
    return time.perf_counter() - started[0], time.process_time() - started[1]
