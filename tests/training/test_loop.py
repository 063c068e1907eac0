import itertools

import pytest
import torch
from tiny import same_bits, tiny
from torch import Tensor, nn

from search_spaces.config import TrainConfig
from sweeper.data import train_batches
from sweeper.models import build_model
from sweeper.training import Diverged, build_optimizer, load_state, state_of, train
from sweeper.trial import load_task

SGD, ADAMW = TrainConfig(lr=0.05), TrainConfig(optimizer="adamw", lr=0.01)
END = 9


class Noisy(nn.Module):
    """A network that draws random numbers as it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.scale * self.layers(inputs)


def network_of(kind: str) -> nn.Module:
    task = load_task(tiny().task)
    if kind == "noisy":
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Noisy()
    settings = {"width": 4} if kind == "resnet8" else {"widths": [8]}
    return build_model(kind, settings, task, seed=0)


def trained(
    kind: str, config: TrainConfig, cuts: list[int], seed: int = 1, **options: bool
) -> dict[str, Tensor]:
    """Train to step 9, saving to a dictionary at each cut and going on with another network from there."""
    state = None
    for start, stop in itertools.pairwise([0, *cuts, END]):
        network = network_of(kind)
        optimizer = build_optimizer(network.parameters(), config)
        if state is not None:
            load_state(state, network, optimizer)
        batches = train_batches(load_task(tiny().task), 16, "shift", seed, start, stop)
        train(network, optimizer, batches, lambda step: config.lr * (1 - step / 20), start, seed, **options)
        state = state_of(network, optimizer)
    return state


@pytest.mark.parametrize("cuts", [[6], [4], [1, 5, 8]], ids=str)
@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("kind", ["mlp", "resnet8", "noisy"])
def test_training_in_parts_is_training_in_full(kind, config, cuts):
    whole = trained(kind, config, [])
    assert same_bits(trained(kind, config, cuts), whole)
    assert any(name.startswith("optimizer/") for name in whole)


@pytest.mark.parametrize("kind", ["mlp", "noisy"])
def test_what_ran_before_changes_nothing_and_nothing_is_left_behind(kind):
    once = trained(kind, SGD, [])
    torch.rand(7)
    before = torch.get_rng_state()
    assert same_bits(trained(kind, SGD, []), once)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same_bits(trained(kind, SGD, [], seed=2), once)


def test_bf16_is_close_to_float32_in_float32_parameters():
    exact, rounded = trained("mlp", SGD, []), trained("mlp", SGD, [], autocast=True)
    assert not same_bits(rounded, exact)
    for name, tensor in exact.items():
        assert rounded[name].dtype == tensor.dtype
        assert torch.allclose(rounded[name], tensor, rtol=0.05, atol=0.05), name


def steps(count: int) -> list[tuple[Tensor, Tensor]]:
    task = load_task(tiny().task)
    return list(itertools.islice(train_batches(task, 16, "none", 0, 0, count), count))


def test_divergence_stops_training_at_the_next_look():
    network = build_model("mlp", {"widths": [8], "norm": "none"}, load_task(tiny().task), seed=0)
    batches = iter(steps(200))
    with pytest.raises(Diverged) as caught:
        train(network, build_optimizer(network.parameters(), SGD), batches, lambda step: 1e30, 0, seed=0)
    assert caught.value.step == 51
    assert len(list(batches)) == 200 - 51


def test_overflow_of_running_statistics_is_divergence():
    """Batch norm divides by what overflows, so that loss and parameters stay finite."""
    network = build_model("mlp", {"widths": [8]}, load_task(tiny().task), seed=0)
    with torch.no_grad():
        network.get_parameter("linear1.weight").fill_(1e25)
        network.get_parameter("linear1.weight")[::2] *= -1
    optimizer = build_optimizer(network.parameters(), SGD)
    with pytest.raises(Diverged):
        train(network, optimizer, steps(1), lambda step: 0.0, 0, seed=0)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


@pytest.mark.slow
def test_a_compiled_network_trains_alike():
    task, plain, compiled = load_task(tiny().task), network_of("mlp"), network_of("mlp")
    compiled.compile()
    for network in (plain, compiled):
        batches = train_batches(task, 16, "shift", 1, 0, END)
        train(network, build_optimizer(network.parameters(), SGD), batches, lambda step: 0.05, 0, seed=0)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    for name, tensor in plain.state_dict().items():
        assert torch.allclose(compiled.state_dict()[name], tensor, rtol=1e-4, atol=1e-5), name
