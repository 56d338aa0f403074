"""A model's signature: what it takes, in which range, with which default, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.schema import Field
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.train.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

MAX_VALUES = 1000  # categories that are listed; a column with more is free text to a form
MAY_BE_SAID = ("label", "unit", "description", "minimum", "maximum", "default", "values")


def signature(
    model: Model,
    features: Features,
    rows: Rows,
    schema: Iterable[Field] | None = None,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the signature as JSON-ready document: ranges seen, medians, modes and categories of the training rows.

    Labels, units and descriptions come from the schema; what ``fields`` says of an input (as ``product.serve`` declares it) goes
    before what the rows say.

    Raises
    ------
    DeclarationProblem : ``fields`` names what is no input, or says what an input does not have
    """
    declared = {column.name: column for column in schema or ()}
    inputs = [_input(input_, rows.frame[input_["name"]], declared.get(input_["name"])) for input_ in rows.inputs]
    label = declared.get(model.label)
    output = {
        "name": model.label,
        "type": "double" if rows.classes is None else "string",
        "unit": model.unit or (label.unit if label else None),
        "classes": list(rows.classes) if rows.classes else None,
    }
    inputs = with_fields(inputs, fields or {}, str(model.where or ""))
    return {
        "inputs": inputs,
        "output": output,
        "example": {input_["name"]: input_["default"] for input_ in inputs},
        "entity": list(features.entity),
        "as_of": features.as_of or None,
    }


def with_fields(inputs: list[dict[str, Any]], fields: Mapping[str, Mapping[str, Any]], where: str = "") -> list[dict[str, Any]]:
    """Return inputs with what is said of them put before what the data say."""
    names = [input_["name"] for input_ in inputs]
    for name, said in fields.items():
        if name not in names:
            raise DeclarationProblem(
                f"The form names '{name}', which is no input of the model.", nearest=nearest(name, names), where=where
            )
        for what in said:
            if what not in MAY_BE_SAID:
                raise DeclarationProblem(
                    f"Nothing can be said about '{what}' of the input '{name}'.", nearest=nearest(what, MAY_BE_SAID),
                    fix=f"Use {', '.join(MAY_BE_SAID)}.", where=where,
                )  # fmt: skip
    return [{**input_, **fields.get(input_["name"], {})} for input_ in inputs]


def _input(one: Mapping[str, Any], column: pd.Series, declared: Field | None) -> dict[str, Any]:
    known = column.dropna()
    told: dict[str, Any] = {
        **one,
        "label": declared.label if declared else None,
        "unit": declared.unit if declared else None,
        "description": declared.description if declared else None,
        "minimum": None, "maximum": None, "seen": None, "default": None, "values": None,
    }  # fmt: skip
    if known.empty:
        return told
    if one["type"] == "string":
        said = known.map(str)
        values = sorted(said.unique())
        # Of equally frequent values the first in order, whatever the order of the rows.
        return {**told, "default": min(said.mode()), "values": values if len(values) <= MAX_VALUES else None}
    numbers = known.astype("float64")
    if one["type"] == "boolean":
        return {**told, "default": bool(numbers.mean() > 0.5)}
    finite = numbers[numbers.map(math.isfinite)]
    if finite.empty:
        return told
    as_is = (lambda value: int(value)) if one["type"] == "long" else float
    # What was seen is no limit: a feature that grows passes it one day. Limits are declared, by ``product.serve(fields=…)``.
    return {**told, "seen": [as_is(finite.min()), as_is(finite.max())], "default": as_is(round(finite.median(), 6))}
