"""What can be trained: a network by name with its settings, or an import path of the user's."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, Tag, model_validator

from search_spaces.base import Frozen, Value, by_name, named


class MLPModel(Frozen):
    """Fully connected layers of `widths`, with batch norm or none, before a linear classifier."""

    name: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = (64, 64, 64)
    norm: Literal["batch", "none"] = "batch"


class SmallResNetModel(Frozen):
    """The CIFAR ResNets of He et al. (2016), depth 8 or 20, first stage `width` channels wide."""

    name: Literal["resnet8", "resnet20"]
    width: PositiveInt = 16


class CifarModel(Frozen):
    """A torchvision network whose stem is replaced by one 3x3 convolution, as is usual on 32x32 images."""

    name: Literal["resnet18", "densenet121"]


class GPTModel(Frozen):
    """A decoder-only transformer with learned positions."""

    name: Literal["gpt"] = "gpt"
    layers: PositiveInt = 2
    width: PositiveInt = 128
    heads: PositiveInt = 4
    inner: PositiveInt | None = None
    """Width of the MLP's hidden layer; None is 4 · width."""
    block: int = Field(default=512, ge=2)
    """Longest sequence, in tokens."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}; change either")
        return self


class PretrainedModel(Frozen):
    """A pretrained network by name, or any network with `weights` from a local file or directory."""

    name: Literal[
        "clip_vit_b16", "vit_s16", "vit_s14", "convnext_tiny", "efficientnet_lite0", "timm", "causal_lm"
    ]
    architecture: str | None = None
    """The library's own name, for `timm` and `causal_lm`."""
    weights: str | None = None


class LinearModel(Frozen):
    """The parameters of a quadratic task themselves."""

    name: Literal["point"] = "point"


class ImportedModel(Frozen):
    """A network of the user's: `package.module:function`, called with the task and `settings`."""

    name: str
    settings: dict[str, Value] = Field(default_factory=dict)


MODEL_FAMILIES = {
    "mlp": "mlp",
    **dict.fromkeys(("resnet8", "resnet20"), "small_resnet"),
    **dict.fromkeys(("resnet18", "densenet121"), "cifar"),
    "gpt": "gpt",
    **dict.fromkeys(
        ("clip_vit_b16", "vit_s16", "vit_s14", "convnext_tiny", "efficientnet_lite0", "timm", "causal_lm"),
        "pretrained",
    ),
    "point": "point",
}

ModelConfig = Annotated[
    Annotated[MLPModel, Tag("mlp")]
    | Annotated[SmallResNetModel, Tag("small_resnet")]
    | Annotated[CifarModel, Tag("cifar")]
    | Annotated[GPTModel, Tag("gpt")]
    | Annotated[PretrainedModel, Tag("pretrained")]
    | Annotated[LinearModel, Tag("point")]
    | Annotated[ImportedModel, Tag("imported")],
    by_name("model", MODEL_FAMILIES),
    BeforeValidator(named),
]
