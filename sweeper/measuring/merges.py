"""What a merge of endpoints measures: the rows of the table of records."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from analysis.records import MergeRecord
from search_spaces.config import MeasureConfig
from search_spaces.merges import MergeConfig
from sweeper.data import Task
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
    task: Task
    tasks: Mapping[str, Task]
    measures: MeasureConfig
    augment: str
    seed: int
    _scores: dict[tuple[str, str], dict[Place, Scores]] = field(default_factory=dict)

    def scores(self, state: StateDict, batchnorm: str) -> dict[Place, Scores]:
        """Return the scores of the network with parameters `state` under a batch-norm policy."""
        self.network.load_state_dict(state)
        if batchnorm == "recalibrated":
            recalibrate(self.network, self.task, self.augment, self.seed)
        return {place: evaluate(self.network, self.tasks[place[0]], place[1]) for place in self.places()}

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
        policies = self.measures.batchnorm if has_batchnorm(self.network) else self.measures.batchnorm[:1]
        states = [endpoint.state for endpoint in endpoints if endpoint.state is not None]
        whole = len(states) == len(endpoints)
        for policy in policies:
            singles = [self._endpoint_scores(endpoint, policy) for endpoint in endpoints]
            for alpha in config.alphas:
                merged = self.scores(_merged(states, config, alpha), policy) if whole else None
                for place in self.places():
                    yield from self._rows(endpoints, config, alpha, policy, place, singles, merged, context)

    def _endpoint_scores(self, endpoint: Endpoint, batchnorm: str) -> dict[Place, Scores] | None:
        if endpoint.state is None:
            return None
        if (endpoint.key, batchnorm) not in self._scores:
            self._scores[endpoint.key, batchnorm] = self.scores(endpoint.state, batchnorm)
        return self._scores[endpoint.key, batchnorm]

    def _rows(
        self,
        endpoints: Sequence[Endpoint],
        config: MergeConfig,
        alpha: float,
        policy: str,
        place: Place,
        singles: Sequence[dict[Place, Scores] | None],
        merged: dict[Place, Scores] | None,
        context: Mapping[str, Any],
    ) -> Iterator[MergeRecord]:
        eval_task, split = place
        chance = chance_level(self.tasks[eval_task].split(split).targets)
        state = status([None if single is None else single[place].accuracy for single in singles], chance)
        for metric in self.measures.metrics:
            values = [None if single is None else single[place][metric] for single in singles]
            f_mean = (
                None
                if None in values
                else math.fsum(value for value in values if value is not None) / len(values)
            )
            f_merged = None if merged is None else merged[place][metric]
            yield MergeRecord(
                **context,
                n_endpoints=len(endpoints),
                key_a=endpoints[0].key,
                key_b=endpoints[1].key,
                endpoints=_json([{"key": end.key, "seed": end.seed} for end in endpoints]),
                merge=config.kind,
                alpha=alpha,
                merge_settings=_json(
                    config.model_dump(mode="json", exclude={"kind", "alphas"}, exclude_defaults=True)
                ),
                batchnorm=policy,
                eval_task=eval_task,
                split=split,
                metric=metric,
                f_merged=f_merged,
                f_a=values[0],
                f_b=values[1],
                f_mean=f_mean,
                gain=None if f_merged is None or f_mean is None else gain(metric, f_merged, f_mean),
                status=state,
            )


def groups(endpoints: Sequence[Endpoint], size: int) -> list[tuple[Endpoint, ...]]:
    """Return every group of `size` endpoints of one branch point: pairs, for size 2."""
    return list(itertools.combinations(endpoints, size))


def _merged(states: Sequence[StateDict], config: MergeConfig, alpha: float) -> StateDict:
    return merge(config.kind, states, alpha=alpha) if len(states) == 2 else merge(config.kind, states)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
