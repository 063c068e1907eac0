"""What trains a network from one checkpoint to the next. The lineage only says from where, on what, and to where."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from search_spaces.config import TrainConfig
from sweeper.data import Task, train_batches
from sweeper.models import is_convolutional
from sweeper.training.loop import Diverged, train
from sweeper.training.optimizers import build_optimizer
from sweeper.training.schedules import Schedule
from sweeper.training.state import load_state, state_of

State = dict[str, Tensor]
"""As `sweeper.training.state` defines it."""


@dataclass(frozen=True)
class Course:
    """What one network trains through.

    It starts from `state`, with a fresh optimizer if that holds none; `seed` decides its data order, its augmentation
    and what it draws, `schedule` its lr by absolute step.
    """

    state: State
    seed: int
    schedule: Schedule
    config: TrainConfig


class Trainer(Protocol):
    """Trains networks of one architecture on one task."""

    together: bool
    """Whether the branches of a branch point are best handed over all at once; their keys then say so."""
    provenance: dict[str, Any]
    """What is recorded with a checkpoint, and is not part of its key."""

    def train(self, courses: Sequence[Course], start: int, stop: int) -> list[State | Diverged]:
        """Train each course from step `start` to step `stop` and return its state, or how it diverged."""


NewTrainer = Callable[[nn.Module, Task], Trainer]


class Separate:
    """Trains one course after the other with one network, which it leaves in training mode."""

    together = False

    def __init__(self, network: nn.Module, task: Task) -> None:
        self.network = network
        self.task = task
        self.provenance: dict[str, Any] = {}
        self.stepped = network
        """What the loop calls on a batch."""

    def train(self, courses: Sequence[Course], start: int, stop: int) -> list[State | Diverged]:
        """Train each course from step `start` to step `stop` and return its state, or how it diverged."""
        return [self._train(course, start, stop) for course in courses]

    def batches(self, course: Course, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the batches of a course's steps in [start, stop)."""
        return train_batches(
            self.task,
            course.config.batch_size,
            course.config.augment,
            course.seed,
            start,
            stop,
            dtype=next(self.network.parameters()).dtype,
            channels_last=is_convolutional(self.network),
        )

    def draws(self, course: Course) -> int:
        """Return the seed of what the network draws as it trains."""
        return course.seed

    def _train(self, course: Course, start: int, stop: int) -> State | Diverged:
        optimizer = build_optimizer(self.network.parameters(), course.config)
        load_state(course.state, self.network, optimizer)
        autocast = course.config.precision == "bf16"
        batches, draws = self.batches(course, start, stop), self.draws(course)
        try:
            train(self.stepped, optimizer, batches, course.schedule, start, draws, autocast=autocast)
        except Diverged as diverged:
            return diverged
        return state_of(self.network, optimizer)
