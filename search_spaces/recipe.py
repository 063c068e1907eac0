"""A recipe: one experiment, complete and frozen."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from search_spaces.base import Frozen
from search_spaces.config import TrialConfig
from search_spaces.domain import Float
from search_spaces.explain import Problem, describe_point, explain, problems_in
from search_spaces.paths import apply_overrides, rivals
from search_spaces.resources import Limits, Placement, Retention
from search_spaces.space import Point, Space

Scale = Literal["smoke", "cpu", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "cpu", "paper")


class StopRule(Frozen):
    """End the search once it has found a peak and is sure enough of it, three trials in a row.

    It is when S* lies within a factor `within` of its median, or loses no more than `regret`, with probability
    `mass`.
    """

    within: float = Field(default=1.25, gt=1)
    mass: float = Field(default=0.95, gt=0, lt=1)
    regret: float = Field(default=0.02, ge=0, lt=1)
    """Share of the peak's gain that does not matter: on a plateau S* can't be located, and need not be."""


class Search(Frozen):
    """How points of the space are chosen, and what for. `grid` takes every combination of listed values."""

    sampler: Literal["critical_noise", "tpe", "random", "grid"] = "critical_noise"
    objective: Literal["gain", "merged"] = "gain"
    metric: Literal["accuracy", "loss"] = "loss"
    split: Literal["train", "validation", "test"] = "validation"
    trials: PositiveInt | None = None
    """None is the whole grid; an adaptive search must name it."""
    floor: float | None = None
    """What the searcher is told of diverged and at-chance trials; None is −10 % accuracy, −3 nats."""
    min_accuracy: float | None = Field(default=None, ge=0, le=100)
    """Percent; a trial whose single models are worse on average counts as low, whatever merging them gains."""
    stop: StopRule | None = None
    early_stop: bool = False
    """End trials whose first branch points foretell an objective too low to say anything about the peak."""


def _retention(value: Any) -> Any:
    return {"keep": value} if isinstance(value, str) else value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping | Space) else value


class Recipe(TrialConfig):
    """A named, complete description of one experiment: the trial's config, what varies, and how it is searched."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""
    figure: str = ""
    """Figure or section of the paper."""
    scale: str = ""
    space: Annotated[tuple[Space, ...], BeforeValidator(_one_or_more)] = Field(min_length=1)
    """One space, or a union of several sweeps."""
    search: Search = Search()
    resources: Placement = Placement()
    limits: Limits = Limits()
    retention: Annotated[Retention, BeforeValidator(_retention)] = Retention()
    sources: dict[str, str] = Field(default_factory=dict)
    """Path → where the texts state its value; † marks values read off a figure."""

    @model_validator(mode="after")
    def _objective_measured(self) -> Self:
        for field, value, measured in (
            ("metric", self.search.metric, self.measures.metrics),
            ("split", self.search.split, self.measures.splits),
        ):
            if value not in measured:
                raise ValueError(
                    f"search/{field}: {value} is not among measures/{field}s {', '.join(measured)}; "
                    "name one of these, or measure it"
                )
        return self

    @model_validator(mode="after")
    def _search_consistent(self) -> Self:
        if self.search.min_accuracy is not None and "accuracy" not in self.measures.metrics:
            raise ValueError("search/min_accuracy: accuracy is not among measures/metrics; measure it")
        if self.search.stop is not None and self.search.sampler == "grid":
            raise ValueError(
                "search/stop: a grid has an end of its own; leave it out, or name another sampler"
            )
        if self.search.early_stop:
            self._check_early_stop()
        return self

    @model_validator(mode="after")
    def _resources_consistent(self) -> Self:
        for field, usual in (("replicas", "separate"), ("data_parallel", 1)):
            value = getattr(self.resources, field)
            if self.train.compile and value != usual:
                raise ValueError(
                    f"resources/{field}: {value} can't be with train/compile; leave out one of them"
                )
        return self

    @model_validator(mode="after")
    def _points_valid(self) -> Self:
        if self.search.sampler == "grid":
            for space in self.space:
                next(space.grid())
        elif self.search.trials is None:
            raise ValueError(
                f"search/trials: {self.search.sampler} needs a number of trials, or sampler grid"
            )
        elif len(self.space) > 1:
            raise ValueError(
                f"search/sampler: {self.search.sampler} takes one space, not a union of {len(self.space)}; "
                "name one space, or sampler grid"
            )
        elif self.search.sampler == "critical_noise" and noise_path(self.space[0]) is None:
            raise ValueError(
                "search/sampler: critical_noise needs an interval of train/noise_scale or train/lr, with low > 0, in "
                "the space; declare one, or name tpe, random or grid"
            )
        for space in self.space:
            for point in space.corners():
                self._check(point)
        return self

    def _check_early_stop(self) -> None:
        if self.search.sampler == "grid":
            why = "a grid is to be complete; leave it out, or name another sampler"
        elif self._varies_trunk:
            why = "the space varies the trunk, so that branch points can't be compared; leave one of them out"
        elif not self.compares_branch_points:
            why = "a trial has one branch point; leave it out, or branch earlier"
        else:
            return
        raise ValueError(f"search/early_stop: {why}")

    @property
    def _varies_trunk(self) -> bool:
        return any(path.split("/")[0] == "trunk" for space in self.space for path in space.paths)

    @property
    def compares_branch_points(self) -> bool:
        """Whether trials have two branch points or more, and the same ones: early ones then foretell later ones."""
        return not (self._varies_trunk or self.trunk is None or self.trunk.branches_once)

    def _check(self, point: Point) -> None:
        try:
            self.trial(point)
        except ValueError as error:
            raise ValueError(f"space {describe_point(point)}: {explain(error)}") from None

    @property
    def base(self) -> TrialConfig:
        """The trial's config before the search sets anything."""
        return TrialConfig.model_validate(self.model_dump(include=set(TrialConfig.model_fields), mode="json"))

    def trial(self, point: Point) -> TrialConfig:
        """Return the validated config of the trial at `point`."""
        config = self.model_dump(include=set(TrialConfig.model_fields), mode="json")
        return TrialConfig.model_validate(apply_overrides(config, point))

    def grid(self) -> Iterator[Point]:
        """Yield the points of all spaces of the union, in order."""
        for space in self.space:
            yield from space.grid()

    @property
    def planned_trials(self) -> int:
        """How many trials the search runs at most."""
        if self.search.sampler != "grid":
            assert self.search.trials is not None
            return self.search.trials
        return min(sum(space.size for space in self.space), self.search.trials or sys.maxsize)

    def identity(self) -> str:
        """Return 8 hex digits that name what this recipe does.

        What only says how far to go doesn't enter: trials, the stopping rules, resources, limits, retention.
        """
        content = self.model_dump(
            mode="json", exclude={"resources", "limits", "retention", "title", "figure", "sources"}
        )
        content["search"].pop("trials")
        content["search"].pop("early_stop")
        # As recipes were before they could say these things, so that their runs keep their names.
        content["search"]["stop"] = None
        if content["search"]["min_accuracy"] is None:
            content["search"].pop("min_accuracy")
        content["measures"] = self.measures.identity()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def noise_path(space: Space) -> str | None:
    """Return the path of `space` that a search walks along the noise axis, None if it has none."""
    for path in ("train/noise_scale", "train/lr"):
        domain = space.domains.get(path)
        if isinstance(domain, Float) and domain.low > 0:
            return path
    return None


class RecipeError(ValueError):
    """A recipe that can't be read or is inconsistent; its text is one line a user can act on.

    `problems` are all that is wrong, each with its field.
    """

    def __init__(self, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


def parse_recipe(content: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe that `content` describes, with `overrides` by path.

    Raises:
        RecipeError: naming the field, its value and the way out.
    """
    try:
        recipe = Recipe.model_validate(content)
        return _override(recipe, overrides) if overrides else recipe
    except ValueError as error:
        text = f'recipe "{content.get("name", "?")}", {explain(error)}'
        raise RecipeError(text, problems_in(error)) from None


def _override(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """Apply overrides and validate again; `space/PATH` names the domain of PATH, in every space of a union.

    Raises:
        ValueError: if an override sets what the space varies, or the result is no valid recipe.
    """
    domains = {p.removeprefix("space/"): v for p, v in overrides.items() if p.startswith("space/")}
    settings = {path: value for path, value in overrides.items() if not path.startswith("space/")}
    if "space" not in settings:
        for varied in {path for space in recipe.space for path in space.paths}:
            if not settings.keys().isdisjoint({varied, *rivals(varied)}):
                raise ValueError(f"the space varies {varied}; set space/{varied} instead")
    content = apply_overrides(recipe.model_dump(mode="json"), settings)
    if domains:
        content["space"] = [{**space, **domains} for space in content["space"]]
    return Recipe.model_validate(content)
