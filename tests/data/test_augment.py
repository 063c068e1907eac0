import pytest
import torch

from sweeper.data import AUGMENTATIONS, augment, epoch_draws

from .reference import augmented

KINDS = list(AUGMENTATIONS)


def images(count: int, shape: tuple[int, ...] = (3, 7, 6), dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.randint(1, 256, (count, *shape), generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference(kind, dtype):
    inputs, draws = images(40, dtype=dtype), epoch_draws(kind, 40, seed=0, epoch=2)
    expected = [
        augmented(image, *draw.tolist(), padding=AUGMENTATIONS[kind].padding)
        for image, draw in zip(inputs, draws, strict=True)
    ]
    assert torch.equal(augment(inputs, draws, kind), torch.stack(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_a_subset_augmented_is_the_subset_of_the_augmented(kind):
    inputs, draws = images(40), epoch_draws(kind, 40, seed=0, epoch=0)
    subset = torch.tensor([31, 2, 17, 2])
    assert torch.equal(augment(inputs[subset], draws[subset], kind), augment(inputs, draws, kind)[subset])


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_uniform_over_every_window_and_mirror(kind):
    padding, flip = AUGMENTATIONS[kind]
    counts = epoch_draws(kind, 40_000, seed=0, epoch=0).unique(dim=0, return_counts=True)[1]
    variants = (2 * padding + 1) ** 2 * (2 if flip else 1)
    assert len(counts) == variants
    assert (counts - 40_000 / variants).abs().max() <= 5 * (40_000 / variants) ** 0.5


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_draws_depend_on_seed_and_epoch_alone(kind):
    again, other_seed, other_epoch = (
        epoch_draws(kind, 30, seed, epoch) for seed, epoch in ((0, 1), (1, 1), (0, 2))
    )
    draws = epoch_draws(kind, 30, seed=0, epoch=1)
    assert torch.equal(draws, again)
    assert not torch.equal(draws, other_seed)
    assert not torch.equal(draws, other_epoch)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_left_as_they_were(kind):
    inputs = images(20)
    before = inputs.clone()
    augment(inputs, epoch_draws(kind, 20, seed=0, epoch=0), kind).zero_()
    assert torch.equal(inputs, before)


def test_the_middle_window_is_the_image_itself():
    inputs = images(5)
    assert torch.equal(augment(inputs, torch.tensor([[4, 4, 0]] * 5), "flip_crop"), inputs)


def test_augmenting_what_is_no_image_is_refused():
    with pytest.raises(
        ValueError, match=r'augment "shift" needs images \(C, H, W\), these inputs are \(64,\)'
    ):
        augment(torch.zeros(3, 64), epoch_draws("shift", 3, 0, 0), "shift")
