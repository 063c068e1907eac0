"""What the API speaks of: sweeps and recipes."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from search_spaces.recipe import Recipe, Scale
from sweeper.commands.status import Peak

State = Literal["starting", "running", "stopping", "stopped", "interrupted", "failed", "done", "unknown"]
ACTIVE = {"starting", "running", "stopping"}
ENDED = {"stopped", "interrupted", "failed", "done"}

RunName = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"


class Sweep(BaseModel):
    """One sweep as it was at the last look; counts are trials."""

    name: str
    state: State = Field(
        description="starting: its job has not begun. stopping: trials end at their next branch point. "
        "interrupted: its driver died; resume it. unknown: not looked at yet, ask again."
    )
    reason: str = Field("", description="Why it failed; empty if it didn't.")
    job: str | None = Field(None, description="Submission id of its latest job on the cluster.")
    recipe: str = ""
    scale: str = ""
    total: int = 0
    done: int = 0
    ok: int = 0
    diverged: int = 0
    at_chance: int = 0
    failed: int = 0
    running: int = 0
    epochs: float = Field(0.0, description="Trained so far.")
    ended_early: int = 0
    epochs_saved: float = 0.0
    began: float | None = Field(None, description="Unix time.")
    changed: float | None = Field(None, description="Unix time at which a trial last began or ended.")
    peak: Peak | None = None
    peak_reason: str = Field("", description="Why there is no peak yet; empty if there is one.")

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "name": "digits-cpu-560a3c0d",
                    "state": "running",
                    "job": "digits-cpu-560a3c0d",
                    "recipe": "digits",
                    "scale": "cpu",
                    "total": 39,
                    "done": 12,
                    "ok": 10,
                    "diverged": 2,
                }
            ]
        }
    }


class Sweeps(BaseModel):
    """A page of sweeps, the latest first."""

    sweeps: list[Sweep]
    total: int


class RecipeInfo(BaseModel):
    """A named recipe."""

    name: str
    title: str
    figure: str
    trials: dict[Scale, int]


class NamedRecipe(BaseModel):
    """A recipe by its name, with changes."""

    recipe: str
    scale: Scale = "cpu"
    overrides: dict[str, Any] = Field({}, description="Path, as in train/momentum, to its value.")

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "examples": [{"recipe": "digits", "scale": "smoke", "overrides": {"search/trials": 8}}]
        },
    }


class Resume(BaseModel):
    """How to go on."""

    trials: int | None = Field(None, ge=1, le=1_000_000, description="More than before; default: as many.")

    model_config = {"extra": "forbid"}


class Measure(BaseModel):
    """What to add to a sweep that has ended, from what it stored."""

    merge: dict[str, Any] | None = Field(
        None, description="Its kind and settings, as under merges of a recipe."
    )
    also: list[str] = Field([], description="Measures, as under measures/also of a recipe.")
    measures: dict[str, Any] = Field(
        {}, description="Fields of measures, as in eigenvalues, to their values."
    )

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"merge": {"kind": "ties", "density": 0.3}, "also": ["cka"]}]},
    }


class Health(BaseModel):
    """Whether the parts answer."""

    status: Literal["ok", "degraded"]
    storage: bool
    cluster: bool
    version: str


RECIPE_SCHEMA = Recipe.model_json_schema()
