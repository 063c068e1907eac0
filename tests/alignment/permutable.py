"""Small trained networks of every architecture that can be aligned."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from tiny import tiny
from torch import Tensor, nn

from sweeper.alignment import Permutations, PermutationSpec, permutation_spec
from sweeper.models import MODELS
from sweeper.training import state_of
from sweeper.trial import load_task

TOKENS, LENGTH = 12, 16
GPT = {"layers": 2, "width": 16, "heads": 4, "block": LENGTH}
ARCHITECTURES = {
    "mlp": ("mlp", {"widths": [16, 12]}),
    "mlp without norm": ("mlp", {"widths": [16, 12], "norm": "none"}),
    "resnet8": ("resnet8", {"width": 4}),
    "resnet20": ("resnet20", {"width": 4}),
    "gpt": ("gpt", GPT),
}
STEPS = {"mlp": 200, "resnet8": 100, "resnet20": 60, "gpt": 150}


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, the spec of its permutations, its state, and data that it was not trained on."""

    network: nn.Module
    spec: PermutationSpec
    state: dict[str, Tensor]
    inputs: Tensor
    targets: Tensor

    def outputs(self, state: dict[str, Tensor]) -> Tensor:
        self.network.load_state_dict(state)
        with torch.no_grad():
            return self.network.eval()(self.inputs)

    def accuracy(self, state: dict[str, Tensor]) -> float:
        return float((self.outputs(state).argmax(1) == self.targets).double().mean())


def counting(examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences that go on in steps of 1 or of 2, and what follows each of their tokens."""
    draws = torch.Generator().manual_seed(seed)
    start = torch.randint(TOKENS, (examples, 1), generator=draws)
    step = torch.randint(1, 3, (examples, 1), generator=draws)
    tokens = (start + step * torch.arange(LENGTH + 1)) % TOKENS
    return tokens[:, :-1], tokens[:, 1:]


def images() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Real digits to train on, and others."""
    task = load_task(tiny({"task/train_size": 400}).task)
    train, test = task.split("train"), task.split("test")
    return (task.batch(train.inputs), train.targets), (task.batch(test.inputs[:400]), test.targets[:400])


def trained(label: str, seed: int = 0) -> Trained:
    """Train the architecture for a few dozen steps."""
    name, settings = ARCHITECTURES[label]
    train, test = (counting(400, 0), counting(100, 1)) if name == "gpt" else images()
    classes = TOKENS if name == "gpt" else 10
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MODELS[name](tuple(train[0].shape[1:]), classes, **settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    draws = torch.Generator().manual_seed(seed)
    for _ in range(STEPS[name]):
        rows = torch.randint(len(train[0]), (64,), generator=draws)
        loss = F.cross_entropy(network(train[0][rows]), train[1][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Trained(network, permutation_spec(name, network), state_of(network), *test)


def shuffled(spec: PermutationSpec, state: dict[str, Tensor], seed: int) -> Permutations:
    """Random permutations, of heads and within heads where there are any."""
    draws, sizes, found = torch.Generator().manual_seed(seed), spec.sizes(state), {}
    for names, heads in spec.groups():
        blocks = torch.randperm(heads, generator=draws)
        for name in names:
            width = sizes[name] // heads
            found[name] = torch.cat(
                [block * width + torch.randperm(width, generator=draws) for block in blocks]
            )
    return found


def midpoint(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (tensor + other[name]) / 2 if tensor.is_floating_point() else tensor
        for name, tensor in one.items()
    }
