"""Endpoints in the order of units of the first among them, so that they can be merged."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sweeper.alignment import (
    check_same_function,
    learned_matching,
    permutation_spec,
    permute,
    weight_matching,
)
from sweeper.data import Task
from sweeper.measuring.batchnorm import use_batch_statistics
from sweeper.merging import StateDict

CHECKED_EXAMPLES = 8
"""On which a permuted network must compute the same."""
LEARNED_EXAMPLES = 512
"""Training examples whose loss learned matching minimises."""


def align(
    states: Sequence[StateDict], how: str, network: nn.Module, model: str, task: Task, seed: int
) -> list[StateDict]:
    """Return `states` with the units of all but the first permuted towards the first's; no input is changed.

    Args:
        states: Of trained networks of one architecture.
        how: `weight_matching`, or `learned_matching`, which goes on from that with the training loss of the midpoint,
            batch norm using the examples' own statistics.
        network: Computes what the states describe.
        model: The network's name among the models.
        task: What they were trained on.
        seed: Of the order in which permutations are visited.

    Raises:
        AlignmentError: if the model's permutations are not known, or a permuted network computes something else.
    """
    spec = permutation_spec(model, network)
    first, *others = states
    aligned = [first]
    for other in others:
        found = weight_matching(first, other, spec, seed)
        if how == "learned_matching":
            found = learned_matching(first, other, spec, _TrainingLoss(network, task), found)
        permuted = permute(other, spec, found)
        check_same_function(network, other, permuted, task.batch(task.train.inputs[:CHECKED_EXAMPLES]))
        aligned.append(permuted)
    return aligned


class _TrainingLoss:
    """Mean cross-entropy of a network with given parameters on the first training examples, in nats."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        self._network = network
        dtype = next(network.parameters()).dtype
        self._inputs = task.batch(task.train.inputs[:LEARNED_EXAMPLES], dtype)
        self._targets = task.train.targets[:LEARNED_EXAMPLES]
        self._names = [name for name, _ in network.named_parameters()]

    def __call__(self, state: StateDict) -> Tensor:
        use_batch_statistics(self._network)
        outputs = functional_call(self._network, {name: state[name] for name in self._names}, (self._inputs,))
        return F.cross_entropy(outputs, self._targets)
