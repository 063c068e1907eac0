"""The base of every declared thing: frozen, without unknown fields."""

from pydantic import BaseModel, ConfigDict
from pydantic import JsonValue as Value

__all__ = ["Frozen", "Value"]


class Frozen(BaseModel):
    """A pydantic model that can't be changed after validation and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")
