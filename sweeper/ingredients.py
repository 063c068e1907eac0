"""What the merges at one branch point are made of besides their settings, each made once."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from search_spaces.merges import MergeConfig
from sweeper.data import derive_seed
from sweeper.measuring import fisher_diagonal
from sweeper.merging import StateDict, merge
from sweeper.training import Endpoint, Lineage
from sweeper.training.optimizers import preconditioner


class Ingredients:
    """Endpoints of the branches from branch point `step`, their means, and what weighs them against each other."""

    def __init__(self, lineage: Lineage, step: int) -> None:
        self._lineage = lineage
        self._step = step
        self._endpoints: dict[int, list[Endpoint]] = {}
        self._diagonals: dict[tuple[str, int, str, int], StateDict] = {}

    def endpoints(self, swa: int = 0) -> list[Endpoint]:
        """Return the endpoints, or the means of each branch's last `swa` checkpoints."""
        if swa not in self._endpoints:
            self._endpoints[swa] = (
                [self._mean(end, swa) for end in self.endpoints()]
                if swa
                else [
                    end
                    for seeds in self._lineage.groups
                    for end in self._lineage.endpoints(self._step, seeds)
                ]
            )
        return self._endpoints[swa]

    def settings(self, merge: MergeConfig, group: Sequence[Endpoint]) -> dict[str, Any]:
        """Return what the method of `merge` needs for these endpoints; nothing if one has diverged."""
        if any(endpoint.state is None for endpoint in group):
            return {}
        match merge.kind:
            case "task_arithmetic" | "ties":
                return {"base": self._base}
            case "dare":
                return {"base": self._base, "keys": [endpoint.key for endpoint in group]}
            case "fisher":
                return {"fishers": [self._fisher(endpoint, merge.examples) for endpoint in group]}
            case "preconditioned":
                return {"preconditioners": [self._preconditioner(endpoint) for endpoint in group]}
        return {}

    @cached_property
    def _base(self) -> StateDict | None:
        return self._lineage.start(self._step).state

    def _fisher(self, endpoint: Endpoint, examples: int) -> StateDict:
        of = "fisher", examples, endpoint.key, endpoint.swa
        if of not in self._diagonals:
            lineage, state = self._lineage, endpoint.state
            assert state is not None
            lineage.network.load_state_dict(state)
            seed = derive_seed("fisher", lineage.config.seed)
            # Compiled code doesn't know vmap.
            with torch.compiler.set_stance("force_eager") if lineage.config.train.compile else nullcontext():
                self._diagonals[of] = fisher_diagonal(lineage.network, lineage.task, examples, seed)
        return self._diagonals[of]

    def _mean(self, endpoint: Endpoint, last: int) -> Endpoint:
        """Return the mean of a branch's last checkpoints.

        Source: Izmailov et al. (2018); Zhang et al. (2026), appendix G.
        """
        if endpoint.state is None:
            return endpoint
        # The end comes first: what isn't averaged, such as counters of batches, is its own.
        state = merge("linear", self._lineage.last(self._step, endpoint, last))
        return replace(endpoint, state=state, swa=last)

    def _preconditioner(self, endpoint: Endpoint) -> StateDict:
        """Return, by parameter, the diagonal by which the last step to `endpoint` scaled its gradient."""
        lineage = self._lineage
        if lineage.config.train.optimizer == "sgd":
            return {name: torch.ones_like(each) for name, each in lineage.network.named_parameters()}
        of = "preconditioner", 0, endpoint.key, 0
        if of not in self._diagonals:
            self._diagonals[of] = preconditioner(lineage.moments(self._step, endpoint), lineage.config.train)
        return self._diagonals[of]
