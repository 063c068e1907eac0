"""Declares experiments: configs, domains, noise scales and the recipes. No torch, no Ray, no Optuna."""

from search_spaces.config import TrialConfig
from search_spaces.noise import adam_noise_scale, intrinsic_lr, lr_for_noise_scale, noise_scale
from search_spaces.recipe import Recipe, RecipeError, parse_recipe
from search_spaces.recipes import RECIPES, load_recipe
from search_spaces.yaml_text import read_yaml, to_yaml

__all__ = [
    "RECIPES",
    "Recipe",
    "RecipeError",
    "TrialConfig",
    "adam_noise_scale",
    "intrinsic_lr",
    "load_recipe",
    "lr_for_noise_scale",
    "noise_scale",
    "parse_recipe",
    "read_yaml",
    "to_yaml",
]
