"""Time and memory of merging two networks of the size of ResNet-18, on one thread.

mergekit is compared with where it can be imported; it is no dependency:
`pip install --no-deps --target DIR mergekit==0.1.5`, and DIR on PYTHONPATH.
"""

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.timing import cpu_seconds, interleaved, spread, table
from sweeper.merging import StateDict, linear, merge
from sweeper.merging.state_dict import check_endpoints
from sweeper.models import MODELS

DENSITY = 0.2


def main(rounds: int) -> str:
    """Return the times of `linear` and `ties`, and of what they are compared with."""
    torch.set_num_threads(1)
    base, *ends = (state(seed) for seed in range(3))
    megabytes = sum(tensor.numel() * tensor.element_size() for tensor in base.values()) / 1e6
    work: dict[str, Callable[[], Any]] = {
        "copy": lambda: {name: tensor.clone() for name, tensor in base.items()},
        "linear, α = .5": lambda: linear(ends, alpha=0.5),
        "linear, α = .3": lambda: linear(ends, alpha=0.3),
        "checks of two inputs": lambda: check_endpoints(ends),
        "ties": lambda: merge("ties", ends, base, density=DENSITY),
        "ties, global": lambda: merge("ties", ends, base, density=DENSITY, trim="global"),
    }
    if importlib.util.find_spec("mergekit"):
        work["mergekit's ties"] = mergekit_ties(base, ends)
    grown = {name: growth(job) / 1e6 for name, job in work.items()}
    arms = {name: (lambda job=job: 1e3 * cpu_seconds(job)) for name, job in work.items()}
    times = interleaved(arms, rounds)
    # A copy moves each byte twice, a merge of a pair three times.
    by_copy = median(times["copy"]) * 3 / 2
    compared = {
        name: f"{median(times[name]) / by_copy:.2f} of the copy time, bar ≤ 1.5"
        for name in times
        if name.startswith("linear")
    }
    if "mergekit's ties" in times:
        ratio = median(times["mergekit's ties"]) / median(times["ties"])
        compared["ties"] = f"{ratio:.1f}× as fast as mergekit's, bar ≥ 2"
    rows = [
        [name, spread(values), f"{grown[name] / megabytes:.1f}", compared.get(name, "")]
        for name, values in times.items()
    ]
    return table([f"{megabytes:.0f} MB each", "CPU ms", "peak beyond the inputs, copies; bar ≤ 2", ""], rows)


def state(seed: int) -> StateDict:
    """Return a state dict shaped like ResNet-18's, its floats normal."""
    random = torch.Generator().manual_seed(seed)
    network = MODELS["resnet18"]((3, 32, 32), 100)
    return {
        name: torch.randn(tensor.shape, generator=random) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in network.state_dict().items()
    }


def mergekit_ties(base: StateDict, ends: list[StateDict]) -> Callable[[], StateDict]:
    """Return mergekit's merge of the same tensors by the same settings."""
    from mergekit.merge_methods import merge_state_dicts  # type: ignore[import-not-found]

    models = {"base": base, **{f"end {number}": end for number, end in enumerate(ends)}}
    settings = {"weight": 1.0, "density": DENSITY}
    return lambda: merge_state_dicts(models, "ties", base="base", parameters=settings)


def growth(job: Callable[[], object]) -> float:
    """Return by how many bytes memory in use grows at most while `job` runs, its result included; Linux only."""
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed and kept would hide some of it
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use
    before = status_bytes("VmRSS")
    job()
    return status_bytes("VmHWM") - before


def status_bytes(field: str) -> int:
    """Return a size from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
