import pytest
import torch
from torch import nn

from sweeper.data import Task
from sweeper.models import MODELS, build_model, is_convolutional

COLOUR, DIGITS, SEQUENCE = (3, 32, 32), (1, 8, 8), (16,)
SHAPES = {name: SEQUENCE if name == "gpt" else COLOUR for name in MODELS}
IMAGE_MODELS = [name for name, shape in SHAPES.items() if shape == COLOUR]


def make_task(shape: tuple[int, ...] = COLOUR, classes: int = 10) -> Task:
    inputs, targets = torch.rand(classes, *shape), torch.arange(classes)
    return Task(classes=classes, train=(inputs, targets), test=(inputs, targets))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "shape", "classes", "expected"),
    [
        # weight + bias of 64→64, 64→64, 64→64, 64→10, and two vectors per batch norm
        ("mlp", {}, DIGITS, 10, 3 * (64 * 64 + 64) + 3 * 128 + 650),
        ("mlp", {"widths": [32], "norm": "none"}, DIGITS, 10, 64 * 32 + 32 + 330),
        ("mlp", {"widths": []}, DIGITS, 10, 650),
        # "0.27M", He et al. (2016), table 6; with projections 272,474
        ("resnet20", {}, COLOUR, 10, 272_474),
        ("resnet8", {}, COLOUR, 10, 78_042),
        # the published counts of CIFAR ResNet-18
        ("resnet18", {}, COLOUR, 10, 11_173_962),
        ("resnet18", {}, COLOUR, 100, 11_220_132),
        # torchvision's 7,978,856 for ImageNet, less 7x7 - 3x3 filters in the stem and 990 rows of the classifier
        ("densenet121", {}, COLOUR, 10, 7_978_856 - 64 * 3 * (49 - 9) - 990 * 1025),
    ],
)
def test_parameter_counts_are_the_published_ones(name, settings, shape, classes, expected):
    assert parameters(build_model(name, settings, make_task(shape, classes), seed=0)) == expected


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_mlp_equals_its_definition(norm):
    network = build_model(
        "mlp", {"widths": [5, 4], "norm": norm}, make_task(DIGITS), seed=0, dtype=torch.float64
    )
    inputs = torch.rand(6, *DIGITS, dtype=torch.float64)
    hidden = inputs.flatten(1)
    for number in (1, 2):
        linear = network.get_submodule(f"linear{number}")
        hidden = hidden @ linear.weight.T + linear.bias
        if norm == "batch":
            hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()
        hidden = hidden.clamp(min=0)
    expected = hidden @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network(inputs), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [DIGITS, (3, 12, 9)])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_every_model_trains_on_every_shape_of_image(name, shape):
    network = build_model(name, {}, make_task(shape), seed=0)
    output = network(torch.rand(3, *shape))
    assert output.shape == (3, 10)
    output.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "resnet18", "densenet121"])
def test_the_cifar_stem_keeps_the_resolution(name):
    network = build_model(name, {}, make_task(), seed=0)
    shapes = []
    pools = (nn.AdaptiveAvgPool2d, nn.BatchNorm2d)
    for module in network.modules():
        if isinstance(module, pools):
            module.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape[2:]))
    network.eval()(torch.rand(1, *COLOUR))
    assert shapes[0] == shapes[1] == (32, 32)
    assert min(shape[0] for shape in shapes) == (8 if name in ("resnet8", "resnet20") else 4)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name):
    task = make_task(SHAPES[name])
    one, again, other = (build_model(name, {}, task, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], again[key]) for key in one)
    weights = [key for key in one if one[key].ndim > 1]
    assert not any(torch.equal(one[key], other[key]) for key in weights)


@pytest.mark.parametrize("name", MODELS)
def test_the_global_generator_is_left_as_it_was_and_does_not_matter(name):
    task = make_task(SHAPES[name])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(name, {}, task, seed=0).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = build_model(name, {}, task, seed=0).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_convolutions_are_channels_last(name):
    network = build_model(name, {}, make_task(), seed=0)
    assert is_convolutional(network) == (name != "mlp")
    for parameter in network.parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)


def test_type_is_as_asked():
    network = build_model("resnet8", {}, make_task(DIGITS), seed=0, dtype=torch.float64)
    assert all(parameter.dtype == torch.float64 for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("densenet121", (3, 7, 32), r"needs images of 8x8 pixels or more, these are \(3, 7, 32\)"),
        ("resnet20", (64,), r'needs images \(C, H, W\), the task\'s inputs are \(64,\): use "mlp"'),
        ("perceptron", (64,), 'model "perceptron" is unknown: choose from mlp, resnet8'),
    ],
)
def test_what_does_not_fit_is_refused(name, shape, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, {}, make_task(shape), seed=0)


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r'"resnet18" does not take these settings: .*width'):
        build_model("resnet18", {"width": 8}, make_task(), seed=0)


MY_MODEL = """
import math
from torch import nn

def build_model(task, width=32):
    inputs = math.prod(task.input_shape)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, task.classes))

def not_a_model(task):
    return task
"""


def test_a_network_of_the_users_by_import_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text(MY_MODEL)
    network = build_model("my_network:build_model", {"width": 5}, make_task(DIGITS), seed=0)
    assert parameters(network) == 64 * 5 + 5 + 5 * 10 + 10
    with pytest.raises(ValueError, match=r'not_a_model" returned a Task; return a torch\.nn\.Module'):
        build_model("my_network:not_a_model", {}, make_task(DIGITS), seed=0)
