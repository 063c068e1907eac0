"""The checkpoints of one trial: what the store has is loaded, what it lacks is trained, once."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch
from search_spaces.resources import Retention
from sweeper.data import Task, derive_seed
from sweeper.identity import branch_identity, lineage_identity
from sweeper.merging import StateDict
from sweeper.models import build_model
from sweeper.store import Checkpoint, Store, content_key
from sweeper.training.loop import Diverged
from sweeper.training.schedules import Schedule, branch_schedule, trunk_schedule
from sweeper.training.state import network_state, state_of
from sweeper.training.trainers import Course, NewTrainer, Separate, State

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


@dataclass(frozen=True)
class Endpoint:
    """A trained network: its key in the store and its parameters, or None where training diverged."""

    key: str
    seed: int
    state: StateDict | None
    swa: int = 0
    """Of how many of the branch's last checkpoints `state` is the mean; 0: it is the endpoint itself."""


@dataclass(frozen=True, eq=False)
class _Branch:
    """A branch to be trained: its seed, and the keys of what is kept of it."""

    seed: int
    keys: dict[int, str]
    """By step, its end the last."""
    moments: list[str]


class Lineage:
    """Trunk, branch points and endpoints of one trial; where it starts `independent`, a trunk for each branch.

    A trunk's `origin` is the seed of its initial parameters and its data order: the trial's own, if none is named.

    `trained` counts the epochs trained since it was last taken, by the key of what they gave; what cost no
    training of its own, such as a branch of a diverged trunk, counts 0.
    """

    def __init__(
        self,
        config: TrialConfig,
        task: Task,
        store: Store,
        retention: Retention = Retention(),
        device: torch.device | str = "cpu",
        trainer: NewTrainer = Separate,
    ) -> None:
        self.config = config
        self.task = task
        self.store = store
        self.retention = retention
        self.device = torch.device(device)
        self.trained: dict[str, float] = {}
        self.identity = lineage_identity(config, self.task)
        self.steps_per_epoch = steps_per_epoch(len(self.task.train[0]), config.train.batch_size)
        assert config.trunk is not None
        self.branch_steps = branch_steps(config.trunk, self.steps_per_epoch)
        self.dtype = DTYPES[config.train.precision]
        self.network = self._build(config.seed)
        self.trainer = trainer(self.network, task)
        if config.train.compile:
            self.network.compile()

    def trunk_key(self, step: int, origin: int | None = None) -> str:
        """Return the key of a trunk after `step` steps."""
        seed = self.config.seed if origin is None else origin
        return content_key({"kind": "trunk", **self.identity, "seed": seed, "step": step})

    def branch_key(self, start: int, seed: int, end: int, step: int) -> str:
        """Return the key, after `step` steps, of a branch from step `start` of the trunk to step `end`."""
        # A branch's course depends on where it ends, so what it passes on its way is named by that as well.
        identity = branch_identity(self.config.branch, seed, end, fused=self.trainer.together)
        parent = self.trunk_key(start, self.origin(seed))
        return content_key({"kind": "branch", "parent": parent, **identity, "step": step})

    def origin(self, seed: int) -> int:
        """Return the origin of the trunk under the branch with this seed; branch 0 is always on the trial's own."""
        if self.config.start == "trunk" or seed == 0:
            return self.config.seed
        return derive_seed("independent", self.config.seed, seed)

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The seeds of a branch point's branches, those together that are trained together."""
        seeds = self.config.branch.resolved_seeds
        return [seeds] if self.trainer.together else [(seed,) for seed in seeds]

    def trunk(self, step: int, origin: int | None = None) -> Checkpoint:
        """Return a trunk at branch point `step`, with its optimizer's state."""
        own = self.config.seed if origin is None else origin
        key = self.trunk_key(step, own)

        def advance(missing: Sequence[str]) -> list[State | Diverged]:
            earlier = [other for other in self.branch_steps if other < step]
            if earlier:
                source = self.trunk(earlier[-1], own)
            else:
                source = Checkpoint(state_of(self._build(own)), {"status": "ok"})
            if source.meta["status"] == "diverged":
                return [Diverged(source.meta["step"])]
            schedule = trunk_schedule(self.config.train, self.steps_per_epoch)
            course = Course(source.tensors, derive_seed("trunk", own), schedule, self.config.train)
            return self._train({key: course}, earlier[-1] if earlier else 0, step)

        return self._obtain({key: []}, step, advance)[0]

    def start(self, step: int) -> Endpoint:
        """Return the network at branch point `step`, with which its branches begin."""
        found = self.trunk(step)
        state = network_state(found.tensors) if found.meta["status"] == "ok" else None
        return Endpoint(self.trunk_key(step), self.config.seed, state)

    def reach(self, step: int) -> None:
        """Train trunks to branch point `step`, unless all of their branches are in the store."""
        wanting: dict[int, None] = {}
        for seed in self.config.branch.resolved_seeds:
            keys, moments = self.branch_keys(step, seed)
            if not all(self.store.contains(key) for key in (*keys.values(), *moments)):
                wanting[self.origin(seed)] = None
        for origin in wanting:
            self.trunk(step, origin)

    def endpoint(self, step: int, seed: int) -> Endpoint:
        """Return the endpoint of the branch from branch point `step` whose data order `seed` decides."""
        return self.endpoints(step, [seed])[0]

    def endpoints(self, step: int, seeds: Sequence[int]) -> list[Endpoint]:
        """Return the endpoints of the branches from branch point `step` with these seeds, trained together."""
        schedule, end = branch_schedule(self.config.train, self.config.branch, step, self.steps_per_epoch)
        plans = {}
        for seed in seeds:
            keys, moments = self.branch_keys(step, seed)
            plans[keys[end]] = _Branch(seed, keys, moments)

        def decay(missing: Sequence[str]) -> list[State | Diverged]:
            branches = [plans[key] for key in missing]
            origins = dict.fromkeys(self.origin(branch.seed) for branch in branches)
            begins = {origin: self._begin(step, origin) for origin in origins}
            return self._decay(branches, begins, schedule, step)

        wanted = {key: [*plan.keys.values(), *plan.moments] for key, plan in plans.items()}
        found = self._obtain(wanted, end, decay)
        return [
            Endpoint(key, plan.seed, checkpoint.tensors if checkpoint.meta["status"] == "ok" else None)
            for (key, plan), checkpoint in zip(plans.items(), found, strict=True)
        ]

    def last(self, step: int, endpoint: Endpoint, count: int) -> list[StateDict]:
        """Return the last `count` checkpoints, one an epoch, of the branch from `step` to `endpoint`, its end first."""
        keys, _ = self.branch_keys(step, endpoint.seed)
        return self._kept(step, endpoint, [*keys.values()][: -count - 1 : -1])

    def moments(self, step: int, endpoint: Endpoint) -> State:
        """Return the network and its optimizer's state at the end of the branch from `step` to `endpoint`."""
        _, moments = self.branch_keys(step, endpoint.seed)
        return self._kept(step, endpoint, moments)[0]

    def _kept(self, step: int, endpoint: Endpoint, keys: Sequence[str]) -> list[State]:
        found = [self.store.load(key, device=self.device) for key in keys]
        if any(each is None for each in found):
            # Loading deletes what is damaged; asking for the endpoint trains it again.
            self.endpoint(step, endpoint.seed)
            found = [self.store.load(key, device=self.device) for key in keys]
        return [each.tensors for each in found if each is not None]

    def _build(self, seed: int) -> nn.Module:
        model = self.config.model
        return build_model(model.name, arguments(model), self.task, seed, self.dtype, self.device)

    def _begin(self, step: int, origin: int) -> State | Diverged:
        """Return what branches of a trunk begin with."""
        source = self.trunk(step, origin)
        if source.meta["status"] == "diverged":
            return Diverged(source.meta["step"])
        fresh = self.config.branch.optimizer_state == "fresh"
        return network_state(source.tensors) if fresh else source.tensors

    def _decay(
        self,
        branches: Sequence["_Branch"],
        begins: Mapping[int, State | Diverged],
        schedule: Schedule,
        start: int,
    ) -> list[State | Diverged]:
        """Train branches from their origins' trunks to their end, saving what is kept on the way."""
        origins = {branch.seed: self.origin(branch.seed) for branch in branches}
        states = {seed: begins[origin] for seed, origin in origins.items()}
        at = start
        for stop in branches[0].keys:
            courses = {}
            for branch in branches:
                state, seed = states[branch.seed], derive_seed("branch", origins[branch.seed], branch.seed)
                if not isinstance(state, Diverged):
                    courses[branch] = Course(state, seed, schedule, self.config.train)
            if not courses:
                break
            results = self._train({branch.keys[stop]: course for branch, course in courses.items()}, at, stop)
            at = stop
            for branch, result in zip(courses, results, strict=True):
                states[branch.seed] = result
                if not isinstance(result, Diverged):
                    self._keep(branch, stop, result)
        return [state if isinstance(state, Diverged) else network_state(state) for state in states.values()]

    def _keep(self, branch: "_Branch", step: int, state: State) -> None:
        """Save what retention keeps of a branch besides its endpoint."""
        if step != max(branch.keys):
            self.store.save(branch.keys[step], network_state(state), self._meta("ok", step))
            return
        for key in branch.moments:
            self.store.save(key, state, self._meta("ok", step))
            self.trained[key] = 0.0

    def take_trained(self) -> dict[str, float]:
        """Return the epochs trained since the last call, by the key of what they gave."""
        taken, self.trained = self.trained, {}
        return taken

    def retire(self, keys: Iterable[str]) -> None:
        """Remove what a finished trial trained, if the retention policy keeps only records."""
        if self.retention.keep == "records":
            for key in keys:
                self.store.delete(key)

    def _obtain(
        self,
        wanted: Mapping[str, list[str]],
        step: int,
        make: Callable[[Sequence[str]], Sequence[State | Diverged]],
    ) -> list[Checkpoint]:
        """Return checkpoints of trunk or branches at `step`, making those that the store lacks all at once.

        `wanted` maps their keys to those that must be there as well.
        """
        found = {key: self._find(key, others) for key, others in wanted.items()}
        missing = [key for key, checkpoint in found.items() if checkpoint is None]
        with contextlib.ExitStack() as leases:
            # In one order everywhere, so that two trials that want the same ones don't wait for each other.
            for key in sorted(missing):
                leases.enter_context(self.store.lease(key))
            # Another trial may have trained them while this one waited for the leases.
            found |= {key: self._find(key, wanted[key]) for key in missing}
            missing = [key for key in missing if found[key] is None]
            for key, made in zip(missing, make(missing) if missing else [], strict=True):
                if isinstance(made, Diverged):
                    checkpoint = Checkpoint({}, self._meta("diverged", made.step))
                else:
                    checkpoint = Checkpoint(made, self._meta("ok", step))
                self.store.save(key, checkpoint.tensors, checkpoint.meta)
                self.trained.setdefault(key, 0.0)
                found[key] = checkpoint
        return [checkpoint for checkpoint in found.values() if checkpoint is not None]

    def _find(self, key: str, others: list[str]) -> Checkpoint | None:
        found = self.store.load(key, device=self.device)
        if found is None or found.meta["status"] == "diverged":
            return found
        return found if all(self.store.contains(other) for other in others) else None

    def _train(self, courses: Mapping[str, Course], start: int, stop: int) -> list[State | Diverged]:
        """Train the courses, by the keys of what they give, and count their epochs."""
        results = self.trainer.train(list(courses.values()), start, stop)
        for key, result in zip(courses, results, strict=True):
            reached = result.step if isinstance(result, Diverged) else stop
            self.trained[key] = (reached - start) / self.steps_per_epoch
        return results

    def branch_keys(self, start: int, seed: int) -> tuple[dict[int, str], list[str]]:
        """Return the keys of a branch's checkpoints by step, its end the last, and of its moments if they are kept.

        It is checkpointed at the ends of its last epochs and at its own end, as retention says and its merges need.
        """
        _, end = branch_schedule(self.config.train, self.config.branch, start, self.steps_per_epoch)
        last = (
            end - back * self.steps_per_epoch
            for back in range(max(self.config.checkpoints, self.retention.last))
        )
        keys = {at: self.branch_key(start, seed, end, at) for at in sorted(last) if at > start}
        keeps_moments = self.retention.moments or self.retention.keep == "all" or self.config.needs_moments
        return keys, [content_key({"kind": "moments", "of": keys[end]})] if keeps_moments else []

    def _meta(self, status: str, step: int) -> dict[str, Any]:
        return {
            "status": status,
            "step": step,
            "device": str(self.device),
            "compile": self.config.train.compile,
            "torch": torch.__version__,
            **self.trainer.provenance,
        }
