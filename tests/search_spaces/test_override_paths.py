import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.config import EXCLUSIVE, TrialConfig
from search_spaces.paths import apply_overrides, rivals

CONFIG: dict[str, Any] = TrialConfig.model_validate(
    {"train": {"lr": 0.1}, "trunk": {"epochs": 4, "branch_every": 2}, "branch": {"decay_epochs": 1}}
).model_dump(mode="json")


def paths_of(place: Any, prefix: str = "") -> list[str]:
    inner = place.items() if isinstance(place, dict) else enumerate(place) if isinstance(place, list) else ()
    return [prefix] * bool(prefix) + [
        path for name, value in inner for path in paths_of(value, f"{prefix}/{name}" if prefix else str(name))
    ]


def value_at(config: Any, path: str) -> Any:
    for name in path.split("/"):
        config = config[int(name) if isinstance(config, list) else name]
    return config


@given(st.sampled_from(paths_of(CONFIG)), st.integers())
def test_an_override_sets_its_path_and_its_rivals_and_nothing_else(path: str, value: int) -> None:
    before = copy.deepcopy(CONFIG)
    result = apply_overrides(CONFIG, {path: value})
    assert value_at(result, path) == value
    assert before == CONFIG
    for other in paths_of(CONFIG):
        if other in rivals(path):
            assert value_at(result, other) is None
        elif not other.startswith(f"{path}/") and not path.startswith(f"{other}/") and other != path:
            assert value_at(result, other) == value_at(CONFIG, other)


@pytest.mark.parametrize(("first", "second"), EXCLUSIVE)
def test_either_of_two_rivals_replaces_the_other(first: str, second: str) -> None:
    swapped = apply_overrides(CONFIG, {second: 3})
    assert value_at(swapped, first) is None
    back = apply_overrides(swapped, {first: 5})
    assert (value_at(back, first), value_at(back, second)) == (5, None)
    with pytest.raises(ValueError, match=f"{first} and {second} are both set"):
        apply_overrides(CONFIG, {first: 1, second: 1})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trian/lr", "there is no 'trian'; known: task, tasks, model"),
        ("train/lr/x", "'lr' holds 0.1, which has no fields"),
        ("merges/1/alphas", "'1' is none of the 1 entries, counted from 0"),
        ("merges/first/alphas", "'first' is none of the 1 entries"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_overrides(CONFIG, {path: 1})
