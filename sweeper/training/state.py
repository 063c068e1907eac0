"""Networks and optimizers as flat dictionaries of tensors, the form in which checkpoints are stored.

Keys: parameters and buffers by their names; optimizer state as "optimizer/<state>/<parameter name>".
"""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

OPTIMIZER = "optimizer/"
STEP = "step"
"""AdamW's count of steps, the one piece of state that is not shaped like its parameter."""


def state_of(network: nn.Module, optimizer: Optimizer | None = None) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers, tied ones tied, and of the optimizer's state if one is given."""
    tensors = network.state_dict(keep_vars=True)
    copies = {id(tensor): tensor.detach().clone() for tensor in tensors.values()}
    state = {name: copies[id(tensor)] for name, tensor in tensors.items()}
    if optimizer is not None:
        for name, parameter in network.named_parameters():
            for kind, value in optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    state[f"{OPTIMIZER}{kind}/{name}"] = value.detach().clone()
    return state


def load_state(state: dict[str, Tensor], network: nn.Module, optimizer: Optimizer | None = None) -> None:
    """Put `state` into the network and, if one is given, into the optimizer."""
    network.load_state_dict(network_state(state))
    if optimizer is not None:
        optimizer.state.clear()
        parameters = dict(network.named_parameters())
        for key, value in state.items():
            if key.startswith(OPTIMIZER):
                kind, name = key.removeprefix(OPTIMIZER).split("/", 1)
                optimizer.state[parameters[name]][kind] = (
                    value.clone() if kind == STEP else _laid_out_like(parameters[name], value)
                )


def network_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the part of `state` that belongs to the network."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(OPTIMIZER)}


def _laid_out_like(parameter: nn.Parameter, moment: Tensor) -> Tensor:
    # Fused optimizers read the raw memory: moments must have their parameter's layout.
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)
