"""What a worker needs to run any trial of a sweep."""

import os
import sys
from dataclasses import dataclass, field

import torch

from search_spaces.config import TrialConfig
from search_spaces.recipe import Recipe
from search_spaces.resources import Bundle
from search_spaces.space import Point
from sweeper.data import generator
from sweeper.identity import VERSIONS
from sweeper.imports import import_paths, is_import_path, source_hash
from sweeper.store import Ledger, Storage, Store, content_key
from sweeper.store.files import PATIENCE_SECONDS

GIB = 2**30


@dataclass(frozen=True)
class Job:
    """One sweep: its recipe, and where its store and ledger are. Small, picklable, the same on every node."""

    recipe: Recipe
    storage: str
    run: str
    directory: str = field(default_factory=os.getcwd)
    """Of the driver: modules there are found by import paths, in workers too."""
    term: int = 0
    """Of the driver: `Ledger.begin_term`."""

    def store(self) -> Store:
        """Open the store."""
        quota = self.recipe.retention.quota_gib
        quota_bytes = None if quota is None else round(quota * GIB)
        return Store(self.storage, quota_bytes, patience_seconds=self._patience_seconds)

    def ledger(self) -> Ledger:
        """Open the ledger."""
        return Ledger(Storage(self.storage, self._patience_seconds), self.run, self.term)

    @property
    def _patience_seconds(self) -> float:
        # Whoever starts a sweep is told at once that its storage does not answer.
        return PATIENCE_SECONDS if self.term else 0.0

    def enter(self, bundle: Bundle) -> str:
        """Make this process a worker with what `bundle` reserves, and return its device."""
        if self.directory not in sys.path:
            sys.path.insert(0, self.directory)
        torch.set_num_threads(max(1, int(bundle.cpu)))
        return "cuda" if bundle.gpu and torch.cuda.is_available() else "cpu"

    def trial(self, suggestion: "Suggested") -> tuple[str, TrialConfig]:
        """Return the name and the config of the trial at a suggested point."""
        config = self.recipe.trial(suggestion.point)
        return f"{suggestion.number:05d}-{content_key(config.model_dump(mode='json'))[:8]}", config


@dataclass(frozen=True)
class Suggested:
    """A point of the search and its place in the order of suggestion, from 0.

    Tune carries it as one value of a trial's config.
    """

    number: int
    point: Point


def code_of(recipe: Recipe) -> dict[str, str]:
    """Return what the results of `recipe` depend on besides its text.

    These are the versions of our components and the hashes of the user's sources, by import path.

    Raises:
        ValueError: if an import path leads nowhere.
    """
    imported = {path: source_hash(path) for path in import_paths(recipe)}
    return {**{name: str(version) for name, version in VERSIONS.items()}, **imported}


def default_name(recipe: Recipe) -> str:
    """Return the name of a run that has been given none: what the recipe does is part of it, the user's code too.

    Raises:
        ValueError: if an import path leads nowhere.
    """
    sources = {name: digest for name, digest in code_of(recipe).items() if is_import_path(name)}
    identity = (
        content_key({"recipe": recipe.identity(), "code": sources})[:8] if sources else recipe.identity()
    )
    return "-".join(part for part in (recipe.name, recipe.scale, identity) if part)


def grid_order(recipe: Recipe) -> list[Point]:
    """Return the points of a grid in the seeded order in which they run: any first part covers the whole."""
    points = list(recipe.grid())
    order = generator("grid", recipe.seed).permutation(len(points))
    return [points[index] for index in order[: recipe.search.trials]]
