import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from search_spaces.domain import Choice, Float, Int
from search_spaces.space import Space

numbers = st.floats(-1e6, 1e6, allow_nan=False)
choices = st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True).map(
    lambda listed: {"values": listed}
)
intervals = st.tuples(numbers, numbers).map(lambda pair: {"low": min(pair), "high": max(pair)})
paths = st.sampled_from(["train/lr", "train/momentum", "seed", "branch/count", "model"])


@given(st.dictionaries(paths, choices, min_size=1))
def test_a_grid_is_the_product_in_the_order_of_writing(content: dict[str, dict[str, list[int]]]) -> None:
    grid = list(Space.model_validate(content).grid())
    expected = itertools.product(*(domain["values"] for domain in content.values()))
    assert [tuple(point.values()) for point in grid] == list(expected)
    assert all(list(point) == list(content) for point in grid)


def test_tied_points_move_together_and_are_crossed_with_the_domains() -> None:
    space = Space.model_validate(
        {
            "points": [
                {"train/lr": 1e-4, "branch/decay_epochs": 20},
                {"train/lr": 1e-6, "branch/decay_epochs": 100},
            ],
            "seed": {"values": [0, 1]},
        }
    )
    grid = list(space.grid())
    assert [(point["train/lr"], point["branch/decay_epochs"], point["seed"]) for point in grid] == [
        (1e-4, 20, 0),
        (1e-4, 20, 1),
        (1e-6, 100, 0),
        (1e-6, 100, 1),
    ]
    assert space.paths == ["train/lr", "branch/decay_epochs", "seed"]
    assert space.is_finite


@given(st.dictionaries(paths, choices | intervals, min_size=1))
def test_corners_show_every_bound_and_every_value(content: dict[str, dict[str, object]]) -> None:
    space = Space.model_validate(content)
    corners = list(space.corners())
    for path, domain in space.domains.items():
        wanted = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
        assert {corner[path] for corner in corners} == set(wanted)


def test_corners_show_every_tied_point() -> None:
    points = [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    space = Space.model_validate({"points": points, "train/lr": {"low": 0.1, "high": 0.2}})
    assert [corner["seed"] for corner in space.corners()] == [1, 2, 3]


def test_an_interval_has_no_grid() -> None:
    space = Space.model_validate({"train/lr": {"low": 0.1, "high": 0.2}})
    assert not space.is_finite
    with pytest.raises(ValueError, match="space/train/lr: a grid needs `values`"):
        list(space.grid())


def test_bounds_written_as_whole_numbers_make_an_integer_domain() -> None:
    space = Space.model_validate(
        {
            "branch/count": {"low": 2, "high": 8},
            "train/lr": {"low": 1, "high": 8.0},
            "seed": 3,
            "model": ["mlp", "point"],
        }
    )
    assert space.domains == {
        "branch/count": Int(low=2, high=8),
        "train/lr": Float(low=1, high=8),
        "seed": Choice(values=(3,)),
        "model": Choice(values=("mlp", "point")),
    }


@given(st.dictionaries(paths, choices | intervals, min_size=1))
def test_what_a_space_serialises_to_is_the_same_space(content: dict[str, dict[str, object]]) -> None:
    space = Space.model_validate(content)
    assert Space.model_validate(space.model_dump(mode="json")) == space
    assert Space.model_validate_json(space.model_dump_json()) == space


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "the space is empty"),
        ({"points": []}, "the space is empty"),
        ({"points": [{"seed": 1}, {"model": "mlp"}]}, "points must name the same paths"),
        ({"points": [{"seed": 1}], "seed": [1, 2]}, "seed is both in points and a domain"),
        ({"seed": {"low": 2, "high": 1}}, "low 2 is above high 1"),
        ({"seed": {"low": 0, "high": 1, "log": True}}, "low 0 must be positive on a log axis"),
        ({"train/lr": {"low": 0.2, "high": 0.1}}, "low 0.2 is above high 0.1"),
        ({"train/lr": {"low": -1.0, "high": 0.1, "log": True}}, "must be positive on a log axis"),
        ({"train/lr": {"low": 0.0, "high": float("inf")}}, "finite"),
        ({"seed": [1, 1]}, "value 1 is listed twice"),
    ],
)
def test_spaces_that_say_nothing_clear_are_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Space.model_validate(content)
