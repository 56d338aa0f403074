"""The gate that every input passes: a strict pydantic model made from the signature, and its refusals in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from caudal.errors import nearest
from caudal.serve.signature import Input, Signature

Problem = dict[str, Any]

# Trees compute in float32, where a larger number is an infinity; whole numbers are 64 bits wide.
LARGEST_NUMBER = 3.4e38
LARGEST_WHOLE = 2**63 - 1


class Strict(BaseModel):
    """Nothing is converted, nothing unknown is let through."""

    model_config = ConfigDict(strict=True, extra="forbid")


def model_of(signature: Signature, title: str) -> type[BaseModel]:
    """Return the pydantic model of one row; its JSON schema is the one in the OpenAPI document.

    The fields go by aliases, since an input may be called ``copy`` or ``_day`` and a pydantic field may not.
    """
    fields: dict[str, Any] = {}
    for index, one in enumerate(signature.inputs):
        annotation = _annotation(one)
        told = " ".join(text for text in (one.description, f"In {one.unit}." if one.unit else None) if text)
        field = Field(
            default=None if one.nullable else ...,
            alias=one.name,
            title=one.label,
            description=told or None,
        )
        fields[f"input_{index}"] = (annotation | None if one.nullable else annotation, field)
    start = signature.starting_values
    example = {one.name: start[one.name] for one in signature.inputs if one.nullable or start[one.name] is not None}
    config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [example]})
    return cast(type[BaseModel], create_model(title, __config__=config, **fields))


def checked(values: object, signature: Signature, model: type[BaseModel]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values by input name, and what is wrong with them; one of the two is empty."""
    if not isinstance(values, dict):
        return {}, [problem(None, "The row is not a JSON object.", values, "an object with one member for each input")]
    try:
        row = model.model_validate(values)
    except ValidationError as refused:
        return {}, [_problem(error, signature) for error in refused.errors(include_url=False, include_context=False)]
    held = row.__dict__
    return {one.name: held[f"input_{index}"] for index, one in enumerate(signature.inputs)}, []


def from_text(texts: Mapping[str, str], signature: Signature) -> dict[str, Any]:
    """Return the values that a form's texts stand for; a text that stands for none stays, to be refused by the gate."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        one = signature.by_name.get(name)
        text = text.strip()
        if one is None:
            values[name] = text
        elif text != "":
            values[name] = _value(text, one)
        elif one.nullable:
            values[name] = None
    return values


def problem(field: str | None, what: str, got: object, allowed: str, near: str | None = None) -> Problem:
    """Return one refusal as the API shows it."""
    return {"field": field, "problem": what, "got": _shown(got), "allowed": allowed, "nearest": near}


def _annotation(one: Input) -> Any:
    if one.values is not None:
        if one.type == "string":
            return Literal[one.values]
        base: Any = {"double": float, "long": Annotated[int, BeforeValidator(_whole)], "boolean": bool}[one.type]
        kind = {"double": "number", "long": "integer", "boolean": "boolean"}[one.type]
        return Annotated[base, AfterValidator(_among(one.values)), WithJsonSchema({"type": kind, "enum": list(one.values)})]
    if one.type == "double":
        low = -LARGEST_NUMBER if one.minimum is None else one.minimum
        high = LARGEST_NUMBER if one.maximum is None else one.maximum
        return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    if one.type == "long":
        least = -LARGEST_WHOLE if one.minimum is None else math.ceil(one.minimum)
        most = LARGEST_WHOLE if one.maximum is None else math.floor(one.maximum)
        return Annotated[int, Field(ge=least, le=most), BeforeValidator(_whole)]
    return bool if one.type == "boolean" else str


def _whole(value: Any) -> Any:
    # JSON has one kind of number: 3.0 is a whole one.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _among(values: tuple[Any, ...]) -> Any:
    def known(value: Any) -> Any:
        if value not in values:
            raise PydanticCustomError("literal_error", "not among the allowed values")
        return value

    return known


def _problem(error: Mapping[str, Any], signature: Signature) -> Problem:
    name = str(error["loc"][0]) if error["loc"] else None
    one = signature.by_name.get(name or "")
    kind, got = error["type"], error["input"]
    if one is None:
        near = nearest(name or "", signature.by_name)
        return problem(name, "The model has no such input.", got, f"only: {', '.join(signature.by_name)}", near)
    near = None
    if kind == "missing":
        what, got = "The value is missing.", None
    elif got is None:
        what = "The value may not be null."
    elif isinstance(got, float) and not math.isfinite(got):
        what = "The value is not a finite number."
    elif one.values is not None:
        what, near = "The value is not one of those allowed.", nearest(str(got), [str(value) for value in one.values])
    elif kind == "greater_than_equal":
        what = "The value is too small."
    elif kind == "less_than_equal" or (isinstance(got, int) and abs(got) > LARGEST_NUMBER):
        what = "The value is too large."
    else:
        what = f"The value is not {_noun(one)}."
    return problem(name, what, got, one.allowed, near)


def _noun(one: Input) -> str:
    return {"double": "a number", "long": "a whole number", "boolean": "true or false", "string": "text"}[one.type]


def _value(text: str, one: Input) -> Any:
    if one.type == "boolean":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    # float() would also take 1_000, nan and inf, which no one means in a form.
    if one.type == "string" or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII):
        return text
    if one.type == "long" and re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        return int(text)
    return float(text)


def _shown(value: object, length: int = 100) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_WHOLE:
        return value
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = value if isinstance(value, str) else "a very large whole number"
    return text if len(text) <= length else text[:length] + "…"
