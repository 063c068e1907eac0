"""What a sweep may take: nodes, time and disk."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from search_spaces.base import Frozen


class Bundle(Frozen):
    """What one process reserves on its node."""

    cpu: float = Field(default=1, ge=0)
    gpu: float = Field(default=0, ge=0)
    custom: dict[str, float] = Field(default_factory=dict)
    """Ray's custom resources, e.g. {spot: 1}."""


class Placement(Bundle):
    """What one trial reserves on the cluster, and how many run at once."""

    concurrency: PositiveInt | None = None
    """Trials at once; None is as many as the cluster holds. More than it holds wait for nodes."""
    retries: NonNegativeInt = 2
    """How often a trial or branch that dies (not one that diverges) is started again."""
    branch_workers: NonNegativeInt = 0
    """Further processes of each trial, which train its branches while the trunk goes on."""
    branch: Bundle | None = None
    """What a branch worker reserves; None is what the trial does."""
    strategy: Literal["PACK", "SPREAD"] = "PACK"
    """Whether Ray puts a trial's processes on as few nodes as it can, or on as many."""
    replicas: Literal["separate", "fused", "auto"] = "separate"
    """Whether a process trains the branches of a branch point one by one or all at once; auto is what is faster."""
    data_parallel: PositiveInt = 1
    """Processes that share every batch of trunk and branches."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.data_parallel > 1 and (self.branch_workers or self.replicas != "separate"):
            other = "branch_workers" if self.branch_workers else f"replicas {self.replicas}"
            raise ValueError(
                f"data_parallel {self.data_parallel} can't be with {other}; leave out one of them"
            )
        if self.branch is not None and not self.branch_workers:
            raise ValueError("branch: there are no branch_workers; name how many, or leave branch out")
        if self.strategy != "PACK" and len(self.bundles) == 1:
            raise ValueError(
                f"strategy {self.strategy}: a trial is one process here; leave it out, "
                "or name branch_workers or data_parallel"
            )
        return self

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """What each process of a trial reserves; the first is the trial's own."""
        own = Bundle(cpu=self.cpu, gpu=self.gpu, custom=self.custom)
        return (own, *[own] * (self.data_parallel - 1), *[self.branch or own] * self.branch_workers)


class Limits(Frozen):
    """When a trial counts as hung: it is ended then, and retried like one that died."""

    silence_hours: float = Field(default=24.0, gt=0)
    """Between two branch points."""
    deadline_hours: float | None = Field(default=None, gt=0)
    """For one attempt at the whole trial; what its branch points gave stays."""


class Retention(Frozen):
    """What stays in the store when a trial is finished.

    `records` keeps nothing, `endpoints` keeps endpoints and the branch points they came from (so that longer
    trunks and further branches train only what is new), `all` keeps the optimizer state of endpoints as well.
    """

    keep: Literal["records", "endpoints", "all"] = "endpoints"
    last: NonNegativeInt = 0
    """Checkpoints kept of each branch's last epochs, for SWA."""
    moments: bool = False
    """Keep the optimizer state of endpoints, for preconditioned merges; implied by `all`."""
    quota_gib: float | None = Field(default=None, gt=0)
