"""Models: names become networks."""

from sweeper.models.registry import MODELS, build_model, is_convolutional

__all__ = ["MODELS", "build_model", "is_convolutional"]
