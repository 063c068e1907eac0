from enum import Enum
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sweeper.store import content_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
IDENTITIES = st.dictionaries(st.text(), JSON, max_size=4)


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ({"lr": 0.1, "widths": (64, 64)}, "cdaca22d73b69af758726b246ee37271c392155795e1581e5a4e94cce14c4414"),
        (
            {
                "task": {"name": "digits", "seed": 0},
                "lr": 1e-05,
                "nesterov": False,
                "parent": None,
                "text": "η",
            },
            "697cae1320489a910a0f27651c0238cc91a5c61c2ee6739fe84b6adbb944e0dd",
        ),
    ],
)
def test_golden_keys_never_change(identity: dict[str, object], key: str) -> None:
    assert content_key(identity) == key


@settings(max_examples=50)
@given(IDENTITIES)
def test_order_and_container_types_do_not_matter(identity: dict[str, object]) -> None:
    def rewritten(value: object) -> object:
        if isinstance(value, dict):
            return MappingProxyType({name: rewritten(value[name]) for name in reversed(list(value))})
        return tuple(map(rewritten, value)) if isinstance(value, list) else value

    assert content_key(rewritten(identity)) == content_key(identity)  # type: ignore[arg-type]


@settings(max_examples=50)
@given(IDENTITIES, IDENTITIES)
def test_different_identities_have_different_keys(one: dict[str, object], other: dict[str, object]) -> None:
    assume(one != other)
    assert content_key(one) != content_key(other)


def test_types_of_numbers_are_told_apart() -> None:
    assert len({content_key({"x": value}) for value in (1, 1.0, True, "1")}) == 4


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"train": {"lr": float("nan")}}, "identity/train/lr: nan is no identity"),
        ({"bounds": [0.0, float("inf")]}, "identity/bounds/1: inf is no identity"),
        ({"root": Path("data")}, "identity/root: PosixPath.* is a PosixPath"),
        ({"colour": Colour.RED}, "identity/colour: .* is a Colour"),
        ({"seeds": {1: "a"}}, "identity/seeds: name 1 is no string"),
    ],
)
def test_what_is_no_json_is_refused_by_name(identity: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        content_key(identity)
