"""What a run was made with."""

import contextlib
import os
import pathlib
import platform
from importlib.metadata import version
from typing import Any

import torch

PACKAGES = (
    "sweeper",
    "torch",
    "torchvision",
    "ray",
    "optuna",
    "numpy",
    "pandas",
    "plotly",
    "pydantic",
    "scipy",
)


def versions() -> dict[str, str]:
    """Return Python's and each package's version."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def hardware() -> dict[str, Any]:
    """Return host, processor, cores, memory in GiB and accelerators of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _processor() -> str:
    """Return the processor's name; Linux says it in a file, and `platform` at best its architecture."""
    with contextlib.suppress(OSError), pathlib.Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
