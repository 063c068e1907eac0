"""Networks by name, and those of the user by import path, initialised from a seed."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from sweeper.data.randomness import derive_seed
from sweeper.data.task import Task
from sweeper.imports import call, find, is_import_path
from sweeper.models.convolutional import densenet121, resnet8, resnet18, resnet20
from sweeper.models.gpt import gpt
from sweeper.models.mlp import mlp

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "resnet8": resnet8,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "densenet121": densenet121,
    "gpt": gpt,
}


def build_model(
    name: str,
    settings: Mapping[str, object],
    task: Task,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> nn.Module:
    """Return a freshly initialised network for the task; its convolutions are laid out `channels_last`.

    The initial parameters depend on `seed` alone, not on the device, and the global generator is left as it was.

    Args:
        name: One of `MODELS`, called with (input_shape, classes, **settings), or the import path of a function,
            called with (task, **settings).
        settings: Keywords of the function.
        task: Gives the shape of an input and the number of classes.
        seed: Of the initial parameters.
        dtype: Of the parameters.
        device: Where the parameters are to lie.

    Raises:
        ValueError: if there is no such function, the settings or the task's inputs don't fit it, or it returns
            something else.
    """
    function = find("model", name, MODELS)
    arguments = (task,) if is_import_path(name) else (task.input_shape, task.classes)
    with torch.random.fork_rng(devices=[]):
        # `torch.manual_seed` would also reseed the GPUs' generators, which the fork leaves out.
        torch.default_generator.manual_seed(derive_seed("model", seed))
        network: object = call(name, function, *arguments, **settings)
    if not isinstance(network, nn.Module):
        raise ValueError(f'model "{name}" returned a {type(network).__name__}; return a torch.nn.Module')
    return network.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def is_convolutional(network: nn.Module) -> bool:
    """Say whether the network has convolutions on images, so that its inputs are best laid out `channels_last`."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())
