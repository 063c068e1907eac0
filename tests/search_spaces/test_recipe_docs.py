"""docs/recipes.md is true: its YAML loads, its Python runs, its defaults are the code's."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from search_spaces import Recipe, read_yaml
from search_spaces.config import BranchConfig, TrainConfig, TrunkConfig
from search_spaces.measures import MeasureConfig
from search_spaces.merges import MERGE_KINDS, Merge
from search_spaces.models import MODEL_FAMILIES
from search_spaces.recipe import Search
from search_spaces.resources import Limits, Placement, Retention
from search_spaces.tasks import TASK_FAMILIES

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
COMPLETE, *FRAGMENTS = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
SECTIONS: dict[str, type[BaseModel]] = {
    "Recipe": Recipe,
    "train": TrainConfig,
    "trunk": TrunkConfig,
    "branch": BranchConfig,
    "merges": Merge,
    "measures": MeasureConfig,
    "search": Search,
    "resources": Placement,
    "limits": Limits,
    "retention": Retention,
}


def load(tmp_path: Path, content: str) -> Recipe:
    file = tmp_path / "recipe.yaml"
    file.write_text(content)
    return read_yaml(file)


def test_the_complete_example_is_a_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, COMPLETE)
    assert recipe.name == "my-sweep"
    assert recipe.train.weight_decay == 5e-4


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_every_fragment_fits_into_the_complete_example(fragment: str, tmp_path: Path) -> None:
    replaced = re.findall(r"^(\w+):", fragment, flags=re.MULTILINE)
    sections = re.split(r"^(?=\w)", COMPLETE, flags=re.MULTILINE)
    kept = "".join(section for section in sections if section.partition(":")[0] not in replaced)
    assert load(tmp_path, kept + fragment).space


def documented(section: str) -> dict[str, str]:
    """Field → default, as the section's first table gives them."""
    body = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0].split("| field | default | meaning |\n")[1]
    table = body.split("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {field: default for names, default, _ in rows for field in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_documented_with_its_default(section: str) -> None:
    model = SECTIONS[section]
    defaults = documented(section)
    assert defaults.keys() == model.model_fields.keys()
    for name, field in model.model_fields.items():
        assert same(defaults[name], field.get_default(call_default_factory=True)), name


def same(documented: str, default: Any) -> bool:
    if default is PydanticUndefined:
        return documented == "required"
    if documented.startswith("see ["):
        return isinstance(default, BaseModel)
    value = yaml.safe_load(documented.strip("`"))
    # PyYAML's own loader reads 5e-4 as a string.
    value = float(value) if isinstance(default, float) else value
    return bool(value == plain(default))


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def test_every_task_model_and_merge_is_documented() -> None:
    for name in (*TASK_FAMILIES, *MODEL_FAMILIES, *MERGE_KINDS):
        assert f"`{name}`" in TEXT, name


def test_the_python_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    scope: dict[str, Any] = {}
    exec(program, scope)
    assert {trial.train.momentum for trial in scope["trials"]} == {0.5}
