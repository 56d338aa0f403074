"""What JSON can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import TypeAliasType

JsonValue = TypeAliasType("JsonValue", "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None")
JsonObject = TypeAliasType("JsonObject", "dict[str, JsonValue]")
Scalar = str | float | bool | None
"""A single value of a document: a JSON value without parts."""
