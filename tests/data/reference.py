"""Augmentation and normalisation written pixel by pixel, from their definitions."""

import torch
from torch import Tensor


def augmented(image: Tensor, row: int, column: int, flip: int, padding: int) -> Tensor:
    """The window of the zero-padded image that starts at (row, column), then mirrored left to right."""
    channels, height, width = image.shape
    result = torch.zeros_like(image)
    for channel in range(channels):
        for i in range(height):
            for j in range(width):
                from_i = i + row - padding
                from_j = (width - 1 - j if flip else j) + column - padding
                if 0 <= from_i < height and 0 <= from_j < width:
                    result[channel, i, j] = image[channel, from_i, from_j]
    return result


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x / 255 − mean) / std per channel, in float64."""
    result = images.double() / 255
    for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
        result[:, channel] = (result[:, channel] - m) / s
    return result
