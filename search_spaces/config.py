"""One trial, fully described: what is trained, how it branches, what is merged and measured.

Durations are named in epochs or in steps, exactly one of the two.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from search_spaces.base import Frozen
from search_spaces.measures import MeasureConfig
from search_spaces.merges import PATHS, LinearMerge, MergeConfig
from search_spaces.models import MLPModel, ModelConfig
from search_spaces.noise import adam_noise_scale, lr_for_noise_scale, noise_scale
from search_spaces.tasks import DigitsTask, TaskConfig

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0, lt=1)]

EXCLUSIVE = (
    ("train/lr", "train/noise_scale"),
    ("train/budget_epochs", "train/budget_steps"),
    ("trunk/epochs", "trunk/steps"),
    ("trunk/branch_every", "trunk/branch_every_steps"),
    ("branch/decay_epochs", "branch/decay_steps"),
)
"""Pairs of which a config names at most one; an override of one replaces the other."""


BASED = ("task_arithmetic", "ties", "dare")
"""Merges of differences from a network that all endpoints began with."""


class SAM(Frozen):
    """Sharpness-aware minimisation: the gradient is taken at the worst point within radius `rho`."""

    kind: Literal["sam"]
    rho: Rate = 0.05


class MergOPT(Frozen):
    """Merge-aware training (Yang 2026): the gradient is taken at a sampled merge of the iterate."""

    kind: Literal["mergopt"]
    alphas: tuple[Rate, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    max_experts: PositiveInt = 7
    laplace_scale: Rate | None = None
    """Scale b of the task vectors' entries; None fits it from given task vectors."""


class TrainConfig(Frozen):
    """The optimizer and its settings, shared by trunk and branches.

    Exactly one of `lr` and `noise_scale` is named; the other follows from S = lr / (B (1 − momentum)), Eq. 3.
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Rate | None = None
    noise_scale: Rate | None = None
    momentum: Momentum = 0.9
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    weight_decay: Decay = 5e-4
    batch_size: PositiveInt = 128
    augment: Literal["none", "shift", "flip", "crop", "flip_crop"] = "none"
    schedule: Literal["constant", "wsd", "cosine"] = "constant"
    budget_epochs: PositiveFloat | None = None
    """Length of the whole schedule, for `wsd` and `cosine`."""
    budget_steps: PositiveInt | None = None
    decay_epochs: PositiveFloat | None = None
    """Length of the final √ decay of `wsd`."""
    warmup_epochs: float = Field(default=0.0, ge=0)
    merge_aware: Annotated[SAM | MergOPT, Field(discriminator="kind")] | None = None
    precision: Literal["float32", "float64", "bf16"] = "float32"
    """bf16 is autocast: parameters stay float32."""
    compile: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.lr is None) == (self.noise_scale is None):
            raise ValueError(
                f"name lr or noise_scale, exactly one; lr is {self.lr}, noise_scale is {self.noise_scale}"
            )
        if self.optimizer == "adamw" and self.noise_scale is not None:
            raise ValueError("noise_scale (Eq. 3) is defined for sgd; name lr for adamw")
        _at_most_one(self, "budget_epochs", "budget_steps")
        has_budget = self.budget_epochs is not None or self.budget_steps is not None
        if self.schedule == "constant" and has_budget:
            raise ValueError("schedule constant has no end; leave out its budget, or name wsd or cosine")
        if self.schedule != "constant" and not has_budget:
            raise ValueError(f"schedule {self.schedule} needs budget_epochs or budget_steps")
        if self.schedule == "wsd" and self.decay_epochs is None:
            raise ValueError("schedule wsd needs decay_epochs, the length of its final decay")
        if self.schedule != "wsd" and self.decay_epochs is not None:
            raise ValueError(
                f"decay_epochs {self.decay_epochs:g} is for schedule wsd, not {self.schedule}; leave it out"
            )
        return self

    @property
    def resolved_lr(self) -> float:
        """The learning rate, given or derived from `noise_scale`."""
        if self.lr is not None:
            return self.lr
        assert self.noise_scale is not None
        lr = lr_for_noise_scale(self.noise_scale, self.batch_size, self.momentum)
        # 12 digits: an lr and its noise scale, however spelled, are one setting, with one key in the store.
        return float(f"{lr:.12g}")

    @property
    def resolved_noise_scale(self) -> float:
        """S, given or derived from `lr`; for AdamW the proxy lr / √B (Malladi 2022)."""
        if self.noise_scale is not None:
            return self.noise_scale
        assert self.lr is not None
        if self.optimizer == "adamw":
            return adam_noise_scale(self.lr, self.batch_size)
        return noise_scale(self.lr, self.batch_size, self.momentum)


class TrunkConfig(Frozen):
    """The run that all branches of a trial share, and where it is branched.

    Branch points lie at every multiple of `branch_every` up to the trunk's end.
    """

    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    branch_every: PositiveFloat | None = None
    """In epochs."""
    branch_every_steps: PositiveInt | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("name epochs or steps, exactly one")
        if (self.branch_every is None) == (self.branch_every_steps is None):
            raise ValueError("name branch_every (epochs) or branch_every_steps, exactly one")
        if self.epochs is not None and self.branch_every is not None and self.branch_every > self.epochs:
            raise ValueError(
                f"branch_every {self.branch_every:g} is beyond the trunk's {self.epochs:g} epochs"
            )
        if (
            self.steps is not None
            and self.branch_every_steps is not None
            and self.branch_every_steps > self.steps
        ):
            raise ValueError(
                f"branch_every_steps {self.branch_every_steps} is beyond the trunk's {self.steps} steps"
            )
        return self

    @property
    def branches_once(self) -> bool:
        """Whether there is one branch point; false where mixed units don't tell."""
        end, every = (
            (self.epochs, self.branch_every) if self.steps is None else (self.steps, self.branch_every_steps)
        )
        return end is not None and every is not None and 2 * every > end


class BranchOverride(Frozen):
    """What sets one branch apart from its siblings, besides its data order."""

    lr: Rate | None = None
    noise_scale: Rate | None = None
    optimizer: Literal["sgd", "adamw"] | None = None
    task: TaskConfig | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _at_most_one(self, "lr", "noise_scale")
        return self


class BranchConfig(Frozen):
    """The continuations of a branch point, each decayed to an endpoint.

    `decay` is the learning rate's course over the branch's T steps: sqrt is lr (1 − √(t/T)); `continue`
    follows the trunk's own schedule to its budget.
    """

    decay_epochs: PositiveFloat | None = None
    decay_steps: PositiveInt | None = None
    decay: Literal["sqrt", "linear", "cosine", "constant", "continue"] = "sqrt"
    warmup_epochs: float = Field(default=0.0, ge=0)
    count: int = Field(default=2, ge=1)
    seeds: tuple[int, ...] | None = None
    """One seed a branch; None is 0, …, count − 1."""
    overrides: tuple[BranchOverride, ...] = ()
    """One a branch, or none at all."""
    optimizer_state: Literal["carried", "fresh"] = "carried"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _at_most_one(self, "decay_epochs", "decay_steps")
        timed = self.decay_epochs is not None or self.decay_steps is not None
        if self.decay == "continue" and timed:
            raise ValueError(
                "decay continue ends with train's schedule; leave out decay_epochs and decay_steps"
            )
        if self.decay != "continue" and not timed:
            raise ValueError(f"decay {self.decay} needs decay_epochs or decay_steps")
        if self.seeds is not None and len(set(self.seeds)) != self.count:
            raise ValueError(
                f"seeds {list(self.seeds)} must be {self.count} different numbers, one for each of count"
            )
        if self.overrides and len(self.overrides) != self.count:
            raise ValueError(
                f"overrides has {len(self.overrides)} entries for count {self.count}; give one a branch, or none"
            )
        return self

    @property
    def resolved_seeds(self) -> tuple[int, ...]:
        """One seed per branch."""
        return tuple(range(self.count)) if self.seeds is None else self.seeds


class TrialConfig(Frozen):
    """Everything that determines the records of one trial."""

    task: TaskConfig = DigitsTask()
    tasks: tuple[TaskConfig, ...] = ()
    """Several tasks: each branch seed is finetuned on each of them, and merges are made across tasks."""
    model: ModelConfig = MLPModel()
    start: Literal["trunk", "pretrained", "independent"] = "trunk"
    """Where branches begin: at checkpoints of a shared trunk, at pretrained weights, or at trunks of their own."""
    train: TrainConfig
    trunk: TrunkConfig | None = None
    branch: BranchConfig
    merges: tuple[MergeConfig, ...] = Field(default=(LinearMerge(),), min_length=1)
    measures: MeasureConfig = MeasureConfig()
    seed: NonNegativeInt = 0

    @property
    def checkpoints(self) -> int:
        """How many of each branch's last checkpoints its merges need."""
        return max(1, *(merge.swa for merge in self.merges))

    @property
    def needs_moments(self) -> bool:
        """Whether a merge needs the state of the endpoints' optimizers."""
        return self.train.optimizer == "adamw" and any(m.kind == "preconditioned" for m in self.merges)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.start == "pretrained" and self.trunk is not None:
            raise ValueError("start pretrained has no trunk; leave out trunk, or name another start")
        if self.start != "pretrained" and self.trunk is None:
            raise ValueError(f"start {self.start} needs a trunk; name trunk, or start pretrained")
        if self.branch.decay == "continue" and self.train.schedule == "constant":
            raise ValueError(
                "branch/decay continue needs train/schedule wsd or cosine, which say where it ends"
            )
        if "barrier" in self.measures.also and not any(
            merge.kind in PATHS and merge.group == 2 for merge in self.merges
        ):
            raise ValueError(
                "measures/also barrier needs a path between two endpoints; add linear or slerp to merges"
            )
        for index, merge in enumerate(self.merges):
            if self.start == "independent" and merge.kind in BASED:
                raise ValueError(
                    f"merges/{index}: {merge.kind} needs a base, and networks of start independent share none; "
                    "name linear or slerp, or start trunk"
                )
        endpoints = self.branch.count * max(1, len(self.tasks))
        for index, merge in enumerate(self.merges):
            if merge.group > endpoints:
                raise ValueError(
                    f"merges/{index}/group {merge.group} is more than a branch point has endpoints, {endpoints}; "
                    "lower it, or raise branch/count"
                )
        return self


def _at_most_one(config: Frozen, first: str, second: str) -> None:
    if getattr(config, first) is not None and getattr(config, second) is not None:
        raise ValueError(f"name {first} or {second}, not both")
