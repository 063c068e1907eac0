"""What a merge of endpoints measures: the rows of the table of records."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from analysis.records import MergeRecord
from search_spaces.measures import MeasureConfig
from search_spaces.merges import MergeConfig
from sweeper.data import Task, derive_seed
from sweeper.measuring.aligned import align
from sweeper.measuring.batchnorm import has_batchnorm, recalibrate
from sweeper.measuring.gain import chance_level, gain, status
from sweeper.measuring.metrics import Scores, evaluate
from sweeper.merging import StateDict, merge
from sweeper.training.lineage import Endpoint

Place = tuple[str, str]
"""Evaluation task, split."""


@dataclass
class Meter:
    """Evaluates networks and merges of one trial, each endpoint once.

    `tasks` maps names to what is evaluated on; batch norm is recalibrated on `task`, under the training
    augmentation, by a pass that `seed` fixes.
    """

    network: nn.Module
    model: str
    task: Task
    tasks: Mapping[str, Task]
    measures: MeasureConfig
    augment: str
    seed: int
    _scores: dict[tuple[str, str], dict[Place, Scores | None]] = field(default_factory=dict)

    def scores(self, state: StateDict | None, batchnorm: str) -> dict[Place, Scores | None]:
        """Return the scores of the network with parameters `state` under a batch-norm policy; None: diverged."""
        if state is None:
            return dict.fromkeys(self.places())
        self.load(state, batchnorm)
        return {place: evaluate(self.network, self.tasks[place[0]], place[1]) for place in self.places()}

    def load(self, state: StateDict, batchnorm: str) -> None:
        """Give the network parameters `state`, with running statistics by a batch-norm policy."""
        self.network.load_state_dict(state)
        if batchnorm == "recalibrated":
            recalibrate(self.network, self.task, self.augment, self.seed)

    def known(self, key: str, batchnorm: str) -> dict[Place, Scores | None]:
        """Return the scores of an endpoint some merge of which has been measured under the batch-norm policy."""
        return self._scores[key, batchnorm]

    def places(self) -> list[Place]:
        """Return every (evaluation task, split) that is measured; tasks lack some splits."""
        return [
            (name, split)
            for name, task in self.tasks.items()
            for split in self.measures.splits
            if split in task.splits
        ]

    def records(
        self, endpoints: Sequence[Endpoint], config: MergeConfig, context: Mapping[str, Any]
    ) -> Iterator[MergeRecord]:
        """Yield the records of one merge of `endpoints`, for every coefficient, policy, split and metric."""
        states = self._states(endpoints, config)
        policies = self.measures.batchnorm if has_batchnorm(self.network) else self.measures.batchnorm[:1]
        for policy in policies:
            singles = [self._endpoint_scores(endpoint, policy) for endpoint in endpoints]
            for alpha in config.alphas:
                merged = self.scores(_merged(states, config, alpha), policy)
                shared = {
                    **context,
                    "n_endpoints": len(endpoints),
                    "key_a": endpoints[0].key,
                    "key_b": endpoints[1].key,
                    "endpoints": _json([{"key": end.key, "seed": end.seed} for end in endpoints]),
                    "merge": config.kind,
                    "alpha": alpha if len(endpoints) == 2 else None,
                    "merge_settings": _json(
                        config.model_dump(mode="json", exclude={"kind", "alphas"}, exclude_defaults=True)
                    ),
                    "batchnorm": policy,
                }
                for place in self.places():
                    ends = [scores[place] for scores in singles]
                    yield from self._rows(place, ends, merged[place], shared)

    def _states(self, endpoints: Sequence[Endpoint], config: MergeConfig) -> list[StateDict] | None:
        """Return what `config` merges: the endpoints as they are, or aligned; None if one has diverged."""
        states = [endpoint.state for endpoint in endpoints if endpoint.state is not None]
        if len(states) < len(endpoints):
            return None
        if config.align == "none":
            return states
        return align(
            states, config.align, self.network, self.model, self.task, derive_seed("align", self.seed)
        )

    def _endpoint_scores(self, endpoint: Endpoint, batchnorm: str) -> dict[Place, Scores | None]:
        if (endpoint.key, batchnorm) not in self._scores:
            self._scores[endpoint.key, batchnorm] = self.scores(endpoint.state, batchnorm)
        return self._scores[endpoint.key, batchnorm]

    def _rows(
        self, place: Place, ends: Sequence[Scores | None], merged: Scores | None, shared: Mapping[str, Any]
    ) -> Iterator[MergeRecord]:
        eval_task, split = place
        chance = chance_level(self.tasks[eval_task].split(split).targets)
        state = "diverged" if merged is None else status(ends, chance)
        alive = [scores for scores in ends if scores is not None]
        for metric in self.measures.metrics:
            f_mean = (
                math.fsum(scores[metric] for scores in alive) / len(ends) if len(alive) == len(ends) else None
            )
            f_merged = None if merged is None else merged[metric]
            yield MergeRecord(
                **shared,
                eval_task=eval_task,
                split=split,
                metric=metric,
                f_merged=f_merged,
                f_a=None if ends[0] is None else ends[0][metric],
                f_b=None if ends[1] is None else ends[1][metric],
                f_mean=f_mean,
                gain=None if f_merged is None or f_mean is None else gain(metric, f_merged, f_mean),
                status=state,
            )


def groups(endpoints: Sequence[Endpoint], size: int) -> list[tuple[Endpoint, ...]]:
    """Return every group of `size` endpoints of one branch point: pairs, for size 2."""
    return list(itertools.combinations(endpoints, size))


def _merged(states: Sequence[StateDict] | None, config: MergeConfig, alpha: float) -> StateDict | None:
    if states is None:
        return None
    # α tells the two ends of a pair apart; more endpoints weigh the same.
    return merge(config.kind, states, alpha=alpha) if len(states) == 2 else merge(config.kind, states)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
