"""What a worker needs to run any trial of a sweep."""

from dataclasses import dataclass
from typing import Any

from search_spaces.config import TrialConfig
from search_spaces.recipe import Recipe
from search_spaces.space import Point
from sweeper.data import generator
from sweeper.store import Ledger, Store, content_key

GIB = 2**30


@dataclass(frozen=True)
class Job:
    """One sweep: its recipe, and where its store and ledger are. Small, picklable, the same on every node."""

    recipe: Recipe
    storage: str
    run: str

    def store(self) -> Store:
        """Open the store."""
        quota = self.recipe.retention.quota_gib
        return Store(self.storage, quota_bytes=None if quota is None else round(quota * GIB))

    def ledger(self) -> Ledger:
        """Open the ledger."""
        return Ledger(self.storage, self.run)

    def trial(self, suggestion: "Suggested") -> tuple[str, TrialConfig]:
        """Return the name and the config of the trial at a suggested point."""
        config = self.recipe.trial(suggestion.point)
        return f"{suggestion.number:05d}-{content_key(config.model_dump(mode='json'))[:8]}", config


@dataclass(frozen=True)
class Suggested:
    """A point of the search and its place in the order of suggestion, from 0."""

    number: int
    point: Point

    def to_config(self) -> dict[str, Any]:
        """Return the form in which Tune carries it."""
        return {"number": self.number, "point": dict(self.point)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Suggested":
        """Return the suggestion that `to_config` made."""
        return cls(config["number"], config["point"])


def default_name(recipe: Recipe) -> str:
    """Return the name of a run that has been given none: what the recipe does is part of it."""
    return "-".join(part for part in (recipe.name, recipe.scale, recipe.identity()) if part)


def grid_order(recipe: Recipe) -> list[Point]:
    """Return the points of a grid in the seeded order in which they run: any first part covers the whole."""
    points = list(recipe.grid())
    order = generator("grid", recipe.seed).permutation(len(points))
    return [points[index] for index in order[: recipe.search.trials]]
