"""The base of every declared thing: frozen, without unknown fields."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Discriminator, model_validator
from pydantic import JsonValue as Value

__all__ = ["Frozen", "Value", "by_name"]


class Frozen(BaseModel):
    """A pydantic model that can't be changed after validation and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _fields_known(cls, value: Any) -> Any:
        # pydantic forbids unknown fields too, but doesn't say which ones are known.
        if isinstance(value, Mapping):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for name in value:
                if name not in known:
                    raise ValueError(f"unknown field {name!r}; known: {', '.join(known)}")
        return value


def by_name(what: str, families: Mapping[str, str]) -> Discriminator:
    """Return the discriminator of a union whose members are told apart by their `name`.

    `families` maps each known name to the tag of the model that describes it; an import path
    `package.module:function` has the tag "imported".
    """

    def tag(value: Any) -> str | None:
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", value)
        if not isinstance(name, str):
            return None
        return "imported" if ":" in name else families.get(name)

    return Discriminator(
        tag,
        custom_error_type=f"unknown_{what}",
        custom_error_message=f"no such {what}; known: {', '.join(families)}, or package.module:function",
    )


def arguments(component: BaseModel) -> dict[str, Any]:
    """Return the keywords that a task's or model's function is called with: its fields, or the user's settings."""
    fields = component.model_dump(exclude={"name"})
    settings: dict[str, Any] = fields.pop("settings", fields)
    return settings


def named(value: Any) -> Any:
    """Return `{"name": value}` for a bare string, anything else unchanged."""
    return {"name": value} if isinstance(value, str) else value
