"""What a merge of endpoints measures: the rows of the table of records."""

import itertools
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from analysis.records import MergeRecord
from search_spaces.measures import MeasureConfig
from search_spaces.merges import AverageMerge, MergeConfig
from sweeper.data import Task, derive_seed
from sweeper.measuring.aligned import align
from sweeper.measuring.batchnorm import has_batchnorm, recalibrate
from sweeper.measuring.gain import chance_level, gain, status
from sweeper.measuring.metrics import Scores, evaluate
from sweeper.merging import MergeError, StateDict, merge
from sweeper.training.lineage import Endpoint

LOG = logging.getLogger(__name__)

ELSEWHERE = {"kind", "alphas", "group", "swa", "align", "examples"}
"""Settings of a merge that are not its method's: they say of what, or of how many data."""

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
    _scores: dict[tuple[str, int, str], dict[Place, Scores | None]] = field(default_factory=dict)

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

    def known(self, key: str, swa: int, batchnorm: str) -> dict[Place, Scores | None]:
        """Return the scores of an endpoint some merge of which has been measured under the batch-norm policy."""
        return self._scores[key, swa, batchnorm]

    def places(self) -> list[Place]:
        """Return every (evaluation task, split) that is measured; tasks lack some splits."""
        return [
            (name, split)
            for name, task in self.tasks.items()
            for split in self.measures.splits
            if split in task.splits
        ]

    def records(
        self,
        endpoints: Sequence[Endpoint],
        config: MergeConfig,
        given: Mapping[str, Any],
        context: Mapping[str, Any],
    ) -> Iterator[MergeRecord]:
        """Yield the records of one merge of `endpoints`, for every coefficient, policy, split and metric.

        `given` is what the method needs besides its settings. A merge that can't be made has status "failed".
        """
        states: list[StateDict] | None = None
        policies = self.measures.batchnorm if has_batchnorm(self.network) else self.measures.batchnorm[:1]
        for alpha in config.alphas:
            failed, state = False, None
            try:
                states = states or self._states(endpoints, config)
                state = None if states is None else self._merged(states, config, alpha, given)
            except MergeError as error:
                LOG.warning(
                    "merge %s at branch step %s failed: %s", config.kind, context["branch_step"], error
                )
                failed = True
            for policy in policies:
                singles = [self._endpoint_scores(endpoint, policy) for endpoint in endpoints]
                merged = self.scores(state, policy)
                shared = {
                    **context,
                    "n_endpoints": len(endpoints),
                    "key_a": endpoints[0].key,
                    "key_b": endpoints[1].key,
                    "endpoints": _json([{"key": end.key, "seed": end.seed} for end in endpoints]),
                    "merge": config.kind,
                    "alpha": alpha if config.has_alpha else None,
                    "merge_settings": config.settings,
                    "batchnorm": policy,
                }
                for place in self.places():
                    ends = [scores[place] for scores in singles]
                    for row in self._rows(place, ends, merged[place], shared):
                        yield row.model_copy(update={"status": "failed"}) if failed else row

    def _merged(
        self, states: Sequence[StateDict], config: MergeConfig, alpha: float, given: Mapping[str, Any]
    ) -> StateDict:
        """Return parameters merged as `config` says, and buffers averaged.

        Raises:
            MergeError: if the method can't merge them.
        """
        learned = {name for name, _ in self.network.named_parameters(remove_duplicate=False)}
        coefficient: dict[str, Any] = {"alpha": alpha} if config.has_alpha else {}
        parameters = merge(
            config.kind,
            [_only(learned, state) for state in states],
            **config.model_dump(exclude=ELSEWHERE),
            **{name: _only(learned, value) if name == "base" else value for name, value in given.items()},
            **coefficient,
        )
        # Running statistics are no weights: a difference of variances, scaled, can be negative.
        others = [_only(state.keys() - learned, state) for state in states]
        return parameters | merge("linear", others, **coefficient if isinstance(config, AverageMerge) else {})

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
        of = endpoint.key, endpoint.swa, batchnorm
        if of not in self._scores:
            self._scores[of] = self.scores(endpoint.state, batchnorm)
        return self._scores[of]

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


def _only(names: Set[str], state: StateDict) -> StateDict:
    return {name: tensor for name, tensor in state.items() if name in names}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
