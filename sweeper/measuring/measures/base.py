"""What a measure is given, and what it gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from analysis.records import MergeRecord
from search_spaces.config import TrialConfig
from sweeper.data import Split, Task
from sweeper.data.randomness import generator
from sweeper.measuring.merges import Meter
from sweeper.merging import StateDict
from sweeper.training.lineage import Endpoint


@dataclass(frozen=True)
class Site:
    """One branch point of a trial with its endpoints and what their merges measured: all that a measure looks at."""

    config: TrialConfig
    meter: Meter
    find_start: Callable[[], Endpoint]
    """Gives the network at the branch point, which most measures don't need."""
    endpoints: Sequence[Endpoint]
    records: Sequence[MergeRecord]

    @cached_property
    def start(self) -> Endpoint:
        """The network at the branch point."""
        return self.find_start()

    @property
    def ends(self) -> dict[str, StateDict]:
        """Key → parameters and buffers of the endpoints whose training did not diverge."""
        return {end.key: end.state for end in self.endpoints if end.state is not None}

    @property
    def batchnorm(self) -> str:
        """The batch-norm policy under which networks are measured: the recipe's first."""
        return self.config.measures.batchnorm[0]


@dataclass(frozen=True)
class Number:
    """One measured number: of the networks with the keys `subject`, under `settings`."""

    subject: tuple[str, ...]
    name: str
    value: float
    """NaN or infinite where it is not defined."""
    settings: Mapping[str, Any]
    index: int = 0
    """Position among several of one name, such as eigenvalues."""


Measure = Callable[[Site], Iterator[Number]]


def subset(task: Task, split: str, count: int, seed: int) -> Split:
    """Return `count` examples of a split of `task`, all of a smaller one; `seed` fixes which."""
    inputs, targets = task.split(split)
    order = torch.from_numpy(generator("subset", split, seed).permutation(len(targets)))[:count]
    chosen = order.to(inputs.device)
    return Split(inputs[chosen], targets[chosen])
