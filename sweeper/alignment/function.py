"""Whether a permuted network still computes what it did."""

import copy

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sweeper.alignment.spec import AlignmentError
from sweeper.merging import StateDict

TOLERANCE = 1e-8
"""Relative to the largest output, in float64: a permutation changes the order of sums alone."""


def check_same_function(network: nn.Module, before: StateDict, after: StateDict, inputs: Tensor) -> None:
    """Check that `network` has the same outputs on `inputs` with either state, in eval mode; it is left as it was.

    Raises:
        AlignmentError: naming the first layer whose outputs are not the former ones in another order.
    """
    probe, inputs = copy.deepcopy(network).double().eval(), inputs.double()
    if _close(*(_outputs(probe, state, inputs) for state in (before, after))):
        return
    layers = zip(*(_layers(probe, state, inputs) for state in (before, after)), strict=True)
    changed = next((name for (name, one), (_, other) in layers if not _close(one, other)), "the last")
    raise AlignmentError(
        f"{changed}: the permuted network differs from this layer on; its model's permutation spec is wrong"
    )


@torch.no_grad()
def _outputs(probe: nn.Module, state: StateDict, inputs: Tensor) -> Tensor:
    probe.load_state_dict(state)
    outputs: Tensor = probe(inputs)
    return outputs


def _layers(probe: nn.Module, state: StateDict, inputs: Tensor) -> list[tuple[str, Tensor]]:
    """Return the outputs of each layer by name, in order of computation, units sorted by value at every place."""
    seen: list[tuple[str, Tensor]] = []

    def watch(name: str, module: nn.Module) -> RemovableHandle:
        def note(_: nn.Module, __: object, output: Tensor) -> None:
            # A copy, at once: what follows may write into the output.
            seen.append((name, output.sort(dim=1 if output.ndim == 4 else -1).values))

        return module.register_forward_hook(note)

    hooks = [watch(name, module) for name, module in probe.named_modules() if not list(module.children())]
    _outputs(probe, state, inputs)
    for hook in hooks:
        hook.remove()
    return seen


def _close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= TOLERANCE * one.abs().max())
