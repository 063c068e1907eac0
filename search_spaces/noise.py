"""The effective noise scale of training, and its relatives.

Notation: lr η, batch size B, momentum μ, weight decay λ.
"""

import math


def noise_scale(lr: float, batch_size: int, momentum: float) -> float:
    """Return S = lr / (B (1 - mu)), in learning rate per example, for SGD with dampening 0.

    >>> noise_scale(lr=0.2, batch_size=128, momentum=0.9)
    0.015625

    Raises:
        ValueError: if batch_size < 1 or momentum is outside [0, 1).

    Source: Zhang et al. (2026), Eq. 3.
    """
    return lr / noise_denominator(batch_size, momentum)


def lr_for_noise_scale(noise_scale: float, batch_size: int, momentum: float) -> float:
    """Return lr = S B (1 - mu), the inverse of `noise_scale`.

    >>> lr_for_noise_scale(0.015625, batch_size=128, momentum=0.9)
    0.2

    Raises:
        ValueError: if batch_size < 1 or momentum is outside [0, 1).

    Source: Zhang et al. (2026), Eq. 3.
    """
    return noise_scale * noise_denominator(batch_size, momentum)


def noise_denominator(batch_size: int, momentum: float) -> float:
    """Return B (1 - mu), the effective number of examples averaged into one SGD step.

    Raises:
        ValueError: if batch_size < 1 or momentum is outside [0, 1).
    """
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} is below 1")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum {momentum} is outside [0, 1)")
    # (1 - 0.9) is 0.09999999999999998: rounding to 12 digits keeps S of round settings round.
    return round(batch_size * (1.0 - momentum), 12)


def intrinsic_lr(lr: float, weight_decay: float) -> float:
    """Return lr · λ, the rate at which a scale-invariant network forgets its weights.

    Source: Van Laarhoven (2017); Zhang et al. (2026), section 3.3.
    """
    return lr * weight_decay


def adam_noise_scale(lr: float, batch_size: int, exponent: float = 0.5) -> float:
    """Return lr / B^p, the noise proxy of adaptive optimizers (p = 1/2), without a momentum factor.

    Raises:
        ValueError: if batch_size < 1.

    Source: Malladi et al. (2022), the square-root scaling rule.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} is below 1")
    return lr / math.pow(batch_size, exponent)
