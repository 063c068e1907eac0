"""The permutations of each architecture, written as layers: what units a layer gives, and what units it takes."""

import re
from collections.abc import Callable, Mapping

from torch import nn

from sweeper.alignment.spec import AlignmentError, Axis, PermutationSpec

Units = tuple[Axis, Axis]
"""A layer's outputs, and its inputs."""


def mlp(network: nn.Module) -> PermutationSpec:
    """Each hidden layer's units can change places."""
    layers: dict[str, Units] = {}
    hidden: Axis = ()
    for name in _modules(network, r"linear\d+"):
        before, hidden = hidden, (name,)
        layers |= {name: (hidden, before), name.replace("linear", "norm"): (hidden, ())}
    return _spec(network, {**layers, "classifier": ((), hidden)})


def resnet(network: nn.Module) -> PermutationSpec:
    """Channels inside each basic block, and of the residual stream, which is one up to the next projection."""
    stream: Axis = ("conv1",)
    layers: dict[str, Units] = {"conv1": (stream, ()), "bn1": (stream, ())}
    for block in _modules(network, r"layer\d+\.\d+"):
        before, inside = stream, (f"{block}.conv1",)
        if _modules(network, rf"{re.escape(block)}\.downsample"):
            stream = (f"{block}.downsample",)
            layers |= {f"{block}.downsample.0": (stream, before), f"{block}.downsample.1": (stream, ())}
        layers |= {
            f"{block}.conv1": (inside, before),
            f"{block}.bn1": (inside, ()),
            f"{block}.conv2": (stream, inside),
            f"{block}.bn2": (stream, ()),
        }
    return _spec(network, {**layers, "fc": ((), stream)})


def densenet(network: nn.Module) -> PermutationSpec:
    """Channels of every convolution; what follows takes those of all before it, one after the other."""
    stream: Axis = ("features.conv0",)
    layers: dict[str, Units] = {"features.conv0": (stream, ()), "features.norm0": (stream, ())}
    for name in _modules(network, r"features\.(denseblock\d+\.denselayer\d+|transition\d+)"):
        if "transition" in name:
            layers |= {f"{name}.norm": (stream, ()), f"{name}.conv": ((name,), stream)}
            stream = (name,)
        else:
            inside, grown = (f"{name}.conv1",), (f"{name}.conv2",)
            layers |= {
                f"{name}.norm1": (stream, ()),
                f"{name}.conv1": (inside, stream),
                f"{name}.norm2": (inside, ()),
                f"{name}.conv2": (grown, inside),
            }
            stream += grown
    return _spec(network, {**layers, "features.norm5": (stream, ()), "classifier": ((), stream)})


def gpt(network: nn.Module) -> PermutationSpec:
    """The residual stream's units, those of each MLP, and each layer's heads.

    Within a head, the units that queries and keys share have an order of their own, and so have those of the values.
    """
    stream: Axis = ("stream",)
    layers: dict[str, Units] = {"token": ((), stream), "position": ((), stream), "norm": (stream, ())}
    heads: dict[tuple[str, ...], int] = {}
    for name in _modules(network, r"layers\.\d+"):
        match, value, inside = (f"{name}.query",), (f"{name}.value",), (f"{name}.expand",)
        heads[match + value] = network.get_submodule(name).heads  # type: ignore[assignment]
        layers |= {
            **dict.fromkeys((f"{name}.norm1", f"{name}.norm2"), (stream, ())),
            **dict.fromkeys((f"{name}.query", f"{name}.key"), (match, stream)),
            f"{name}.value": (value, stream),
            f"{name}.output": (stream, value),
            f"{name}.expand": (inside, stream),
            f"{name}.contract": (stream, inside),
        }
    return _spec(network, layers, heads)


SPECS: dict[str, Callable[[nn.Module], PermutationSpec]] = {
    "mlp": mlp,
    **dict.fromkeys(("resnet8", "resnet20", "resnet18"), resnet),
    "densenet121": densenet,
    "gpt": gpt,
}
"""Model's name → what makes the spec of such a network."""


def permutation_spec(model: str, network: nn.Module) -> PermutationSpec:
    """Return the permutations of `network`, a model of that name.

    Raises:
        AlignmentError: if they are not known.
    """
    if model not in SPECS:
        raise AlignmentError(f'model "{model}" has no known permutations; align one of {", ".join(SPECS)}')
    return SPECS[model](network)


def _modules(network: nn.Module, pattern: str) -> list[str]:
    """Return the names of the modules that match all of `pattern`, in the order in which the network has them."""
    return [name for name, _ in network.named_modules() if re.fullmatch(pattern, name)]


def _spec(
    network: nn.Module, layers: Mapping[str, Units], heads: Mapping[tuple[str, ...], int] | None = None
) -> PermutationSpec:
    """Return the axes of all tensors of `layers`: matrices and filters have both, vectors have the outputs'."""
    axes = {}
    for name, tensor in network.state_dict().items():
        layer = name.rpartition(".")[0]
        if layer in layers and tensor.is_floating_point():
            axes[name] = layers[layer][: min(tensor.ndim, 2)]
    return PermutationSpec(axes, heads or {})
