"""Validation of every input: a strict pydantic model made from the signature, and its errors in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from caudal.errors import nearest
from caudal.serve.signature import ModelInput, Signature
from caudal.serve.times import PATTERN, TimeOf

Problem = dict[str, object]

# Trees compute in float32, where a larger number becomes infinite; whole numbers have 64 bits.
LARGEST_NUMBER = 3.4e38
LARGEST_WHOLE = 2**63 - 1

ABSENT: Any = object()
"""The value of an input that a caller left out, where the server may find it."""

# The description of errors in an answer is limited: a body of 4 MB may contain some hundred thousand of them.
MOST_PROBLEMS = 20  # of a row
MOST_LISTED = 50  # names of inputs
LONGEST_NAME = 100


class Strict(BaseModel):
    """A model that converts no value and refuses unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


def input_model(signature: Signature, title: str) -> type[BaseModel]:
    """Return the pydantic model of one row; its JSON schema is the one in the OpenAPI document.

    The fields have aliases, because an input may be called ``copy`` or ``_day`` and a pydantic field may not.
    """
    fields: dict[str, Any] = {}
    for index, input_ in enumerate(signature.inputs):
        annotation = _annotation(input_)
        found = f"Found by {' and '.join(input_.found_by)} where it is left out." if input_.found_by else None
        description = " ".join(text for text in (input_.description, f"In {input_.unit}." if input_.unit else None, found) if text)
        default: dict[str, Any] = {"default": None if input_.nullable else ...}
        if input_.found_by or input_.is_needed_by:
            default = {"default_factory": _absent}
        field_ = Field(
            **default,
            alias=input_.name,
            title=input_.label,
            description=description or None,
        )
        fields[f"input_{index}"] = (annotation | None if input_.nullable else annotation, field_)
    extra: dict[str, Any] = {"examples": [signature.example_row]}
    needed = [
        {"anyOf": [{"required": [input_.name]}, {"required": list(input_.is_needed_by)}]}
        for input_ in signature.inputs
        if input_.is_needed_by
    ]
    if needed:
        extra |= needed[0] if len(needed) == 1 else {"allOf": needed}
    config = ConfigDict(strict=True, extra="forbid", json_schema_extra=extra)
    return cast(type[BaseModel], create_model(title, __config__=config, **fields))


@dataclass(frozen=True)
class Row:
    """A validated row, or its errors.

    Attributes
    ----------
    values : by input name; empty if there are errors
    problems : the first errors
    more : number of further errors
    looked_up : what an answer says of the values that the server found; None where it found none
    given : what the caller gave, where the server looks values up
    """

    values: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    more: int = 0
    looked_up: dict[str, object] | None = None
    given: Mapping[str, object] | None = None

    @property
    def good(self) -> bool:
        """Whether there are no errors."""
        return not self.problems and not self.more


def validate_row(values: object, signature: Signature, model: type[BaseModel], most: int = MOST_PROBLEMS) -> Row:
    """Return the values of a row by input name, or its errors.

    Parameters
    ----------
    most : number of errors that are described; further ones are counted
    """
    if not isinstance(values, dict):
        problems = [input_problem(None, "The row is not a JSON object.", values, "an object with one member for each input")]
        return Row(problems=problems[:most], more=len(problems[most:]))
    # An answer describes few of the unknown members: the others are counted without validation.
    uncounted = 0
    if not values.keys() <= signature.by_name.keys():
        foreign = [name for name in values if name not in signature.by_name]
        uncounted = max(0, len(foreign) - most)
    if uncounted:
        described = set(foreign[:most])
        values = {name: value for name, value in values.items() if name in signature.by_name or name in described}
    try:
        row = model.model_validate(values)
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_context=False)
        return Row(problems=[_problem(error, signature) for error in errors[:most]], more=len(errors[most:]) + uncounted)
    if uncounted:
        return Row(more=uncounted)
    # The values stand in the order of the fields, which is that of the inputs.
    return Row(dict(zip(signature.by_name, row.__dict__.values(), strict=True)))


def unusual(values: Mapping[str, object], signature: Signature) -> list[dict[str, object]]:
    """Return a warning for each number outside the training range, the first ``MOST_PROBLEMS`` of them."""
    outside = []
    for name, low, high in signature.ranges:
        value = values.get(name)
        if isinstance(value, int | float) and not low <= value <= high and not isinstance(value, bool):
            outside.append(name)
    return [
        {
            "field": name, "warning": "The value lies outside what the model was trained on.", "got": _shortened(values[name]),
            "seen": signature.by_name[name].seen_range,
        }
        for name in outside[:MOST_PROBLEMS]
    ]  # fmt: skip


def input_problem(field: str | None, sentence: str, sent: object, allowed: str, nearest_value: str | None = None) -> Problem:
    """Return one error in the API's format."""
    return {"field": field, "problem": sentence, "got": _shortened(sent), "allowed": allowed, "nearest": nearest_value}


def _annotation(input_: ModelInput) -> Any:
    if input_.values is not None:
        if input_.type == "string":
            return Literal[input_.values]
        base: Any = {"double": float, "long": Annotated[int, BeforeValidator(_whole)], "boolean": bool}[input_.type]
        kind = {"double": "number", "long": "integer", "boolean": "boolean"}[input_.type]
        return Annotated[base, AfterValidator(_among(input_.values)), WithJsonSchema({"type": kind, "enum": list(input_.values)})]
    if input_.time_of is not None:
        schema = {"type": "string", "pattern": PATTERN}
        return Annotated[int, BeforeValidator(_time(input_.time_of)), WithJsonSchema(schema)]
    if input_.type == "double":
        low = -LARGEST_NUMBER if input_.minimum is None else input_.minimum
        high = LARGEST_NUMBER if input_.maximum is None else input_.maximum
        return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
    if input_.type == "long":
        least = -LARGEST_WHOLE if input_.minimum is None else math.ceil(input_.minimum)
        most = LARGEST_WHOLE if input_.maximum is None else math.floor(input_.maximum)
        return Annotated[int, Field(ge=least, le=most), BeforeValidator(_whole)]
    return bool if input_.type == "boolean" else str


def _whole(value: object) -> object:
    # JSON has one number type: 3.0 is a whole number.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _absent() -> object:
    return ABSENT


def _time(time_of: TimeOf) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, str):
            raise PydanticCustomError("time", "The value is not text.")
        try:
            return time_of.micros(value)
        except ValueError as error:
            raise PydanticCustomError("time", "{sentence}", {"sentence": str(error)}) from None

    return read


def _among(values: tuple[object, ...]) -> Callable[[object], object]:
    def check(value: object) -> object:
        if value not in values:
            raise PydanticCustomError("literal_error", "not among the allowed values")
        return value

    return check


def _problem(error: ErrorDetails, signature: Signature) -> Problem:
    name = str(error["loc"][0]) if error["loc"] else None
    input_ = signature.by_name.get(name or "")
    kind, sent = error["type"], error["input"]
    if input_ is None:
        return unknown_input(name, sent, signature)
    nearest_value = None
    if kind == "missing":
        sentence, sent = "The value is missing.", None
    elif sent is None:
        sentence = "The value may not be null."
    elif kind == "time":
        sentence = error["msg"]
    elif isinstance(sent, float) and not math.isfinite(sent):
        sentence = "The value is not a finite number."
    elif input_.values is not None:
        among = [*input_.choices, *map(str, input_.values)]
        sentence, nearest_value = "The value is not one of those allowed.", nearest(str(sent)[:LONGEST_NAME], among)
    elif kind == "greater_than_equal":
        sentence = "The value is too small."
    elif kind == "less_than_equal" or (isinstance(sent, int) and abs(sent) > LARGEST_NUMBER):
        sentence = "The value is too large."
    else:
        sentence = f"The value is not {_noun(input_)}."
    return input_problem(name, sentence, sent, input_.allowed, nearest_value)


def unknown_input(name: str | None, sent: object, signature: Signature) -> Problem:
    """Return the problem of an input that the model has not, with the nearest one that it has."""
    return input_problem(
        name and str(_shortened(name)),
        "The model has no such input.",
        sent,
        f"only: {_listed(signature.by_name)}",
        nearest((name or "")[:LONGEST_NAME], signature.by_name),
    )


def _listed(names: Collection[str]) -> str:
    listed = ", ".join(itertools.islice(names, MOST_LISTED))
    return listed if len(names) <= MOST_LISTED else f"{listed} and {len(names) - MOST_LISTED} more"


def _noun(input_: ModelInput) -> str:
    return {
        "double": "a number",
        "long": "a whole number",
        "boolean": "true or false",
        "string": "text",
        "time": "a date and a time",
    }[input_.type]


def _shortened(value: object, length: int = 100) -> object:
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
