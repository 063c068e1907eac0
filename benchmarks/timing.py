"""Arms that take turns, and the middle and spread of what they cost."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")

MATMUL_SIZES = (768, 1024, 1536)
MATMUL_REPEATS = 5


def interleaved(arms: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Return what each arm measured in each round; arms take turns, the first of a round the last of the next."""
    costs: dict[str, list[T]] = {name: [] for name in arms}
    order = list(arms)
    for _ in range(rounds):
        for name in order:
            costs[name].append(arms[name]())
        order.reverse()
    return costs


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that `work` took in this process: what else the machine does counts little."""
    started = time.process_time()
    work()
    return time.process_time() - started


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, and minimum and maximum in brackets."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def mean_with_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return fmean(values), stdev(values) / len(values) ** 0.5


def matmul_peak() -> float:
    """Return FLOP/s of the fastest of several large float32 matrix products on one thread."""
    best = 0.0
    for size in MATMUL_SIZES:
        left, right = torch.randn(size, size), torch.randn(size, size)
        seconds = min(cpu_seconds(lambda: left @ right) for _ in range(MATMUL_REPEATS))  # noqa: B023
        best = max(best, 2 * size**3 / seconds)
    return best


def step_flops(network: torch.nn.Module, inputs: torch.Tensor) -> int:
    """Return the FLOPs of the matrix products and convolutions in one step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        network(inputs).sum().backward()
    return int(counter.get_total_flops())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
