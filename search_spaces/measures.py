"""What is measured of endpoints and merges."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from search_spaces.base import Frozen
from search_spaces.tasks import TaskConfig

BatchNormPolicy = Literal["recalibrated", "averaged"]

LATER = {"curvature_examples", "noise_examples", "noise_estimator", "plane_points"}
"""Fields that were added when runs already had names, which are hashes of their recipes."""


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class MeasureConfig(Frozen):
    """What is evaluated for every merge, and which further measures are taken."""

    metrics: tuple[Literal["accuracy", "loss"], ...] = Field(default=("accuracy", "loss"), min_length=1)
    splits: tuple[Literal["train", "validation", "test", "ood"], ...] = Field(
        default=("validation", "test"), min_length=1
    )
    batchnorm: Annotated[tuple[BatchNormPolicy, ...], BeforeValidator(_as_tuple)] = Field(
        default=("recalibrated", "averaged"), min_length=1
    )
    """How running statistics of merged networks are made; endpoints are treated the same way."""
    eval_tasks: tuple[TaskConfig, ...] = ()
    """Further tasks to evaluate on, such as a shifted test set."""
    also: tuple[
        Literal[
            "barrier",
            "cka",
            "curvature",
            "gradient_noise",
            "plane",
            "distance",
            "laplace_fit",
            "normalised_accuracy",
        ],
        ...,
    ] = ()
    """Measures of endpoints, pairs and planes."""
    cka_examples: int = Field(default=2048, ge=4)
    """Test examples whose penultimate activations `cka` compares."""
    eigenvalues: PositiveInt = 8
    """How many of the Hessian's largest eigenvalues `curvature` finds."""
    curvature_examples: PositiveInt = 1024
    """Training examples whose mean loss has that Hessian."""
    noise_examples: int = Field(default=1024, ge=2)
    """Augmented training examples whose gradients `gradient_noise` compares."""
    noise_estimator: Literal["per_example", "two_batch"] = "per_example"
    """Gradients of single examples in eval mode, or of training batches in training mode."""
    plane_points: int = Field(default=11, ge=2)
    """Grid points of `plane` on each axis, besides those of the three networks."""

    def identity(self) -> dict[str, Any]:
        """Return what these measures are, for the name of a run; a run that says nothing of `LATER` keeps its name."""
        said = self.model_dump(mode="json", include=LATER, exclude_defaults=True)
        return self.model_dump(mode="json", exclude=LATER) | said

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "normalised_accuracy" in self.also and "accuracy" not in self.metrics:
            raise ValueError("also normalised_accuracy needs accuracy among metrics; add it")
        return self
