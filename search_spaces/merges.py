"""How endpoints are merged: one frozen class per method, told apart by `kind`."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from search_spaces.base import Frozen

Alpha = Annotated[float, Field(allow_inf_nan=False)]
Density = Annotated[float, Field(gt=0, le=1)]


PATHS = ("linear", "slerp")
"""Kinds that lead a pair from one endpoint, at α = 0, to the other, at α = 1."""


class Merge(Frozen):
    """What every merge has: its coefficients, and what its endpoints are."""

    alphas: tuple[Alpha, ...] = Field(default=(0.5,), min_length=1)
    """Interpolation coefficients; each gives one merged network."""
    group: int = Field(default=2, ge=2)
    """How many endpoints are merged at once: 2 is pairs."""
    swa: NonNegativeInt = 0
    """Merge the means of each branch's last `swa` checkpoints; 0 merges the endpoints themselves."""
    align: Literal["none", "weight_matching", "learned_matching"] = "none"

    @property
    def has_alpha(self) -> bool:
        """Whether the coefficients mean anything."""
        return True

    @property
    def settings(self) -> str:
        """All but kind and coefficients, where it isn't the default, as in the column `merge_settings`: JSON."""
        said = self.model_dump(mode="json", exclude={"kind", "alphas"}, exclude_defaults=True)
        return json.dumps(said, sort_keys=True)

    @model_validator(mode="after")
    def _alphas_differ(self) -> Self:
        if len(set(self.alphas)) < len(self.alphas):
            raise ValueError(f"alphas {list(self.alphas)} repeat a value")
        return self

    @model_validator(mode="after")
    def _aligned_on_a_path(self) -> Self:
        if self.align != "none" and (kind := getattr(self, "kind", "")) not in PATHS:
            raise ValueError(
                f"align {self.align} permutes endpoints alone, and {kind} takes more; name linear or slerp"
            )
        return self


class AverageMerge(Merge):
    """A merge whose α is the share of the second endpoint of a pair; more than two weigh the same."""

    @property
    def has_alpha(self) -> bool:
        """Whether the coefficients mean anything: for pairs."""
        return self.group == 2

    @model_validator(mode="after")
    def _alpha_of_pairs(self) -> Self:
        if self.group > 2 and self.alphas != (0.5,):
            raise ValueError(
                f"alphas {list(self.alphas)} are for pairs; leave them out for the mean of group {self.group}"
            )
        return self


class LinearMerge(AverageMerge):
    """(1 − α) θ_A + α θ_B; the mean Σ θ_i / n of more than two endpoints, which has no α."""

    kind: Literal["linear"] = "linear"


class TaskArithmeticMerge(Merge):
    """θ₀ + α Σ (θ_i − θ₀), θ₀ the branch point or the pretrained base."""

    kind: Literal["task_arithmetic"]


class TiesMerge(Merge):
    """TIES (Yadav 2023): trim to `density`, elect signs, aggregate; θ₀ + α τ."""

    kind: Literal["ties"]
    density: Density = 0.2
    trim: Literal["tensor", "global"] = "tensor"
    aggregate: Literal["mean", "sum"] = "mean"
    weights: tuple[float, ...] | None = None


class DareMerge(Merge):
    """DARE: drop entries with probability `drop`, rescale, then merge by `then`."""

    kind: Literal["dare"]
    drop: float = Field(default=0.5, ge=0, lt=1)
    then: Literal["task_arithmetic", "ties"] = "task_arithmetic"
    density: Density = 1.0
    seed: int = 0


class SlerpMerge(AverageMerge):
    """Spherical interpolation of pairs, per tensor."""

    kind: Literal["slerp"]


class FisherMerge(AverageMerge):
    """Σ w_i F_i θ_i / Σ w_i F_i with the exact per-example diagonal Fisher; w = (1 − α, α) for a pair."""

    kind: Literal["fisher"]
    examples: int = Field(default=512, ge=1)
    """Training examples that the Fisher information is taken over; all if there are fewer."""


class PreconditionedMerge(AverageMerge):
    """(Σ w_i P_i⁻¹)⁻¹ Σ w_i P_i⁻¹ θ_i, P from Adam's second moments, 1 for SGD; w = (1 − α, α) for a pair."""

    kind: Literal["preconditioned"]
    normalise: Literal["none", "trace"] = "none"


MERGE_KINDS = ("linear", "task_arithmetic", "ties", "dare", "slerp", "fisher", "preconditioned")

MergeConfig = Annotated[
    LinearMerge
    | TaskArithmeticMerge
    | TiesMerge
    | DareMerge
    | SlerpMerge
    | FisherMerge
    | PreconditionedMerge,
    Field(discriminator="kind"),
]
