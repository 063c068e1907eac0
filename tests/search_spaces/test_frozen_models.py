"""Laws of every declared model: nothing can be changed, nothing unknown is taken."""

import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import search_spaces
from search_spaces import RECIPES, load_recipe
from search_spaces.base import Frozen
from search_spaces.space import Space

for module in pkgutil.walk_packages(search_spaces.__path__, "search_spaces."):
    importlib.import_module(module.name)


def descendants(cls: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for child in cls.__subclasses__() for found in (child, *descendants(child))]


MODELS = [
    model
    for model in descendants(Frozen)
    # A space has paths in the place of fields; test_bad_recipes gives it paths that do not exist.
    if model.__module__.startswith("search_spaces.") and model is not Space
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_frozen_and_takes_no_unknown_field(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"
    with pytest.raises(ValidationError):
        model.model_validate({"no_such_field": 1})


def parts(value: Any) -> list[Frozen]:
    if isinstance(value, tuple | list):
        return [part for item in value for part in parts(item)]
    if isinstance(value, dict):
        return parts(list(value.values()))
    if isinstance(value, Frozen):
        return [value, *parts([getattr(value, name) for name in type(value).model_fields])]
    return []


@pytest.mark.parametrize("name", RECIPES)
def test_no_field_of_a_recipe_can_be_assigned(name: str) -> None:
    found = parts(load_recipe(name, "smoke"))
    assert len(found) > 10
    for part in found:
        for field in type(part).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, field, None)
