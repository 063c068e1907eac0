"""The checkpoints of one trial: what the store has is loaded, what it lacks is trained, once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from search_spaces.base import arguments
from search_spaces.config import TrialConfig
from search_spaces.cost import branch_steps, steps_per_epoch
from search_spaces.recipe import Retention
from sweeper.data import Task, derive_seed, train_batches
from sweeper.identity import branch_identity, lineage_identity
from sweeper.merging import StateDict
from sweeper.models import build_model, is_convolutional
from sweeper.store import Checkpoint, Store, content_key
from sweeper.training.loop import Diverged, train
from sweeper.training.optimizers import build_optimizer
from sweeper.training.schedules import Schedule, branch_schedule, trunk_schedule
from sweeper.training.state import load_state, network_state, state_of

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


@dataclass(frozen=True)
class Endpoint:
    """A trained network: its key in the store and its parameters, or None where training diverged."""

    key: str
    seed: int
    state: StateDict | None


class Lineage:
    """Trunk, branch points and endpoints of one trial.

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
        self.network = build_model(
            config.model.name, arguments(config.model), self.task, config.seed, self.dtype, self.device
        )
        self._channels_last = is_convolutional(self.network)
        self._initial = state_of(self.network)
        if config.train.compile:
            self.network.compile()

    def trunk_key(self, step: int) -> str:
        """Return the key of the trunk after `step` steps."""
        return content_key({"kind": "trunk", **self.identity, "step": step})

    def branch_key(self, start: int, seed: int, end: int, step: int) -> str:
        """Return the key, after `step` steps, of a branch from step `start` of the trunk to step `end`."""
        # A branch's course depends on where it ends, so what it passes on its way is named by that as well.
        identity = branch_identity(self.config.branch, seed, end)
        return content_key({"kind": "branch", "parent": self.trunk_key(start), **identity, "step": step})

    def trunk(self, step: int) -> Checkpoint:
        """Return the trunk at branch point `step`, with its optimizer's state."""
        key = self.trunk_key(step)

        def advance() -> dict[str, Tensor]:
            earlier = [other for other in self.branch_steps if other < step]
            source = self.trunk(earlier[-1]) if earlier else Checkpoint(self._initial, {"status": "ok"})
            if source.meta["status"] == "diverged":
                raise Diverged(source.meta["step"])
            schedule = trunk_schedule(self.config.train, self.steps_per_epoch)
            seed = derive_seed("trunk", self.config.seed)
            self._load(source, fresh=not earlier)
            return self._train(key, seed, schedule, earlier[-1] if earlier else 0, step)

        return self._obtain(key, step, advance)

    def reach(self, step: int) -> None:
        """Train the trunk to branch point `step`, unless all of its branches are in the store."""
        branches = [self._branch_keys(step, seed) for seed in self.config.branch.resolved_seeds]
        if not all(
            self.store.contains(key) for keys, moments in branches for key in (*keys.values(), *moments)
        ):
            self.trunk(step)

    def endpoint(self, step: int, seed: int) -> Endpoint:
        """Return the endpoint of the branch from branch point `step` whose data order `seed` decides."""
        branch = self.config.branch
        schedule, end = branch_schedule(self.config.train, branch, step, self.steps_per_epoch)
        keys, moments = self._branch_keys(step, seed)

        def decay() -> dict[str, Tensor]:
            source = self.trunk(step)
            if source.meta["status"] == "diverged":
                raise Diverged(source.meta["step"])
            self._load(source, fresh=branch.optimizer_state == "fresh")
            data_seed, start = derive_seed("branch", self.config.seed, seed), step
            state: dict[str, Tensor] = {}
            for stop, stop_key in keys.items():
                state = self._train(stop_key, data_seed, schedule, start, stop)
                start = stop
                if stop != end:
                    self.store.save(stop_key, network_state(state), self._meta("ok", stop))
            for kept in moments:
                self.store.save(kept, state, self._meta("ok", end))
                self.trained[kept] = 0.0
            return network_state(state)

        checkpoint = self._obtain(keys[end], end, decay, [*keys.values(), *moments])
        state = checkpoint.tensors if checkpoint.meta["status"] == "ok" else None
        return Endpoint(keys[end], seed, state)

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
        self, key: str, step: int, make: Callable[[], dict[str, Tensor]], wanted: list[str] | None = None
    ) -> Checkpoint:
        found = self._find(key, wanted)
        if found is None:
            with self.store.lease(key):
                # Another trial may have trained it while this one waited for the lease.
                found = self._find(key, wanted)
                if found is None:
                    try:
                        found = Checkpoint(make(), self._meta("ok", step))
                    except Diverged as diverged:
                        found = Checkpoint({}, self._meta("diverged", diverged.step))
                    self.store.save(key, found.tensors, found.meta)
                    self.trained.setdefault(key, 0.0)
        return found

    def _find(self, key: str, wanted: list[str] | None) -> Checkpoint | None:
        found = self.store.load(key, device=self.device)
        if found is None or found.meta["status"] == "diverged" or wanted is None:
            return found
        return found if all(self.store.contains(other) for other in wanted) else None

    def _load(self, source: Checkpoint, fresh: bool) -> None:
        self._optimizer = build_optimizer(self.network.parameters(), self.config.train)
        load_state(source.tensors, self.network, None if fresh else self._optimizer)

    def _train(self, key: str, seed: int, schedule: Schedule, start: int, stop: int) -> dict[str, Tensor]:
        train_config = self.config.train
        batches = train_batches(
            self.task,
            train_config.batch_size,
            train_config.augment,
            seed,
            start,
            stop,
            dtype=self.dtype,
            channels_last=self._channels_last,
        )
        autocast = train_config.precision == "bf16"
        try:
            train(self.network, self._optimizer, batches, schedule, start, seed, autocast=autocast)
        except Diverged as diverged:
            stop = diverged.step
            raise
        finally:
            self.trained[key] = (stop - start) / self.steps_per_epoch
        return state_of(self.network, self._optimizer)

    def _branch_keys(self, start: int, seed: int) -> tuple[dict[int, str], list[str]]:
        """Return the keys of a branch's checkpoints by step, its end the last, and of its moments if they are kept.

        It is checkpointed at the ends of its last epochs and at its own end.
        """
        _, end = branch_schedule(self.config.train, self.config.branch, start, self.steps_per_epoch)
        last = (end - back * self.steps_per_epoch for back in range(max(1, self.retention.last)))
        keys = {at: self.branch_key(start, seed, end, at) for at in sorted(last) if at > start}
        keeps_moments = self.retention.moments or self.retention.keep == "all"
        return keys, [content_key({"kind": "moments", "of": keys[end]})] if keeps_moments else []

    def _meta(self, status: str, step: int) -> dict[str, Any]:
        return {
            "status": status,
            "step": step,
            "device": str(self.device),
            "compile": self.config.train.compile,
            "torch": torch.__version__,
        }
