"""Convolutional networks for small images: residual networks of any depth, and torchvision's with the CIFAR stem.

The CIFAR stem is one 3x3 convolution of stride 1 without pooling, in place of ImageNet's 7x7 of stride 2 and its
pooling, which would leave a 32x32 image 8x8 before the first block.
"""

from collections import OrderedDict

from torch import nn


def resnet8(input_shape: tuple[int, ...], classes: int, width: int = 16) -> nn.Sequential:
    """Return a CIFAR ResNet of 3 blocks: 78,042 parameters for 10 classes of colour images."""
    return _cifar_resnet(input_shape, classes, width, blocks=1)


def resnet20(input_shape: tuple[int, ...], classes: int, width: int = 16) -> nn.Sequential:
    """Return a CIFAR ResNet of 9 blocks: 272,474 parameters for 10 classes of colour images.

    Source: He et al. (2016), section 4.2, with projections where the width changes.
    """
    return _cifar_resnet(input_shape, classes, width, blocks=3)


def resnet18(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return torchvision's ResNet-18 with the CIFAR stem: 11,173,962 parameters for 10 classes of colour images."""
    from torchvision import models  # a second of imports that other models needn't wait for

    network: nn.Module = models.resnet18(num_classes=classes)
    network.conv1 = _stem(_channels("resnet18", input_shape), 64)
    network.maxpool = nn.Identity()
    return network


def densenet121(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return torchvision's DenseNet-121 with the CIFAR stem: 6,956,426 parameters for 10 classes of colour images.

    Raises:
        ValueError: if the images are below 8x8 pixels, which its three poolings would leave without a pixel.
    """
    from torchvision import models

    channels = _channels("densenet121", input_shape)
    if min(input_shape[1:]) < 8:
        raise ValueError(
            f'model "densenet121" needs images of 8x8 pixels or more, these are {input_shape}: enlarge them'
        )
    network: nn.Module = models.densenet121(num_classes=classes)
    features = network.get_submodule("features")
    features.conv0, features.pool0 = _stem(channels, 64), nn.Identity()
    return network


def _cifar_resnet(input_shape: tuple[int, ...], classes: int, width: int, blocks: int) -> nn.Sequential:
    """Return a stem, three stages of `blocks` residual blocks with widths w, 2w, 4w, and a linear classifier."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_stem(_channels("resnet", input_shape), width),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
    )
    inputs = width
    for stage in range(3):
        outputs = width * 2**stage
        strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
        layers[f"layer{stage + 1}"] = nn.Sequential(
            *(
                _block(inputs if index == 0 else outputs, outputs, stride)
                for index, stride in enumerate(strides)
            )
        )
        inputs = outputs
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inputs, classes))
    network = nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _initialise(module)
    return network


def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    projection = None
    if inputs != outputs:
        projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    block: nn.Module = BasicBlock(inputs, outputs, stride, projection)
    return block


def _stem(channels: int, width: int) -> nn.Conv2d:
    return _initialise(nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False))


def _initialise(convolution: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


def _channels(name: str, input_shape: tuple[int, ...]) -> int:
    if len(input_shape) != 3:
        raise ValueError(
            f'model "{name}" needs images (C, H, W), the task\'s inputs are {input_shape}: use "mlp"'
        )
    return input_shape[0]
