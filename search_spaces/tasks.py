"""What can be trained on: a name with its settings, or an import path of the user's."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Tag

from search_spaces.base import Frozen, Value, by_name, named

Fraction = Annotated[float, Field(ge=0, lt=1)]


class DigitsTask(Frozen):
    """scikit-learn's 1797 8x8 digits, with Gaussian pixel noise of standard deviation `pixel_noise`."""

    name: Literal["digits"] = "digits"
    train_size: int = Field(default=600, ge=10)
    validation_size: int = Field(default=597, ge=10)
    pixel_noise: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    seed: int = 0


class PublishedTask(Frozen):
    """Images under `root` with published training and test splits; validation images are carved from training's."""

    root: str | None = None
    train_size: int | None = Field(default=None, ge=10)
    """A seeded subset of the training images; None takes all that validation leaves."""
    validation_size: int = Field(default=5000, ge=0)
    """0 is no validation split."""
    test_size: int | None = Field(default=None, ge=10)
    """A seeded subset of the test images; None takes all."""
    seed: int = 0


class TorchvisionTask(PublishedTask):
    """A data set that torchvision reads, and can download."""

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"]
    download: bool = False


class TinyImageNetTask(PublishedTask):
    """TinyImageNet, 200 classes of 64x64 images, as unzipped; its published validation split is the test split."""

    name: Literal["tiny_imagenet"]
    validation_size: int = Field(default=10_000, ge=0)


class ImageFolderTask(Frozen):
    """Any folder of class folders, or train/, validation/ and test/ trees of them."""

    name: Literal["image_folder", "resisc45", "fmow", "cifar10_1"]
    root: str | None = None
    size: int = Field(default=32, ge=4)
    validation_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.1
    seed: int = 0


class TextTask(Frozen):
    """Text packed to blocks of `block` tokens; TRACE's tasks are named by `subset`."""

    name: Literal["text", "tinystories", "wikitext103", "trace"]
    root: str | None = None
    subset: str | None = None
    tokenizer: str = "gpt2"
    block: int = Field(default=512, ge=2)
    seed: int = 0


class QuadraticTask(Frozen):
    """A quadratic loss in `dimension` variables: the geometry text's test bed, exactly solvable."""

    name: Literal["quadratic"] = "quadratic"
    dimension: int = Field(default=2, ge=1)
    condition: float = Field(default=10.0, ge=1)
    seed: int = 0


class ImportedTask(Frozen):
    """A task of the user's: `package.module:function`, called with `settings`."""

    name: str
    settings: dict[str, Value] = Field(default_factory=dict)


TASK_FAMILIES = {
    "digits": "digits",
    **dict.fromkeys(("mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"), "torchvision"),
    "tiny_imagenet": "tiny_imagenet",
    **dict.fromkeys(("image_folder", "resisc45", "fmow", "cifar10_1"), "folder"),
    **dict.fromkeys(("text", "tinystories", "wikitext103", "trace"), "text"),
    "quadratic": "quadratic",
}

TaskConfig = Annotated[
    Annotated[DigitsTask, Tag("digits")]
    | Annotated[TorchvisionTask, Tag("torchvision")]
    | Annotated[TinyImageNetTask, Tag("tiny_imagenet")]
    | Annotated[ImageFolderTask, Tag("folder")]
    | Annotated[TextTask, Tag("text")]
    | Annotated[QuadraticTask, Tag("quadratic")]
    | Annotated[ImportedTask, Tag("imported")],
    by_name("task", TASK_FAMILIES),
    BeforeValidator(named),
]
