"""Where nothing may be trained: stored checkpoints are loaded, and what would have to be trained is an error."""

from collections.abc import Sequence
from typing import Any, NoReturn

from sweeper.training.trainers import Course


class NotStored(LookupError):
    """A checkpoint that the store lacks."""


class NoTraining:
    """Stands where a lineage expects a trainer; `together` is that of the one whose checkpoints are looked for."""

    def __init__(self, together: bool) -> None:
        self.together = together
        self.provenance: dict[str, Any] = {}

    def train(self, courses: Sequence[Course], start: int, stop: int) -> NoReturn:
        """Refuse.

        Raises:
            NotStored: always.
        """
        raise NotStored(f"nothing is trained here, and the store lacks step {stop}")
