"""A model's signature: its inputs with their ranges and defaults, and its output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.schema import Field
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.train.rows import LabelledRows

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import InputDocument

MAX_VALUES = 1000  # categories that are listed; a column with more is free text to a form
FIELD_KEYS = ("label", "unit", "description", "minimum", "maximum", "default", "values")


def signature(
    model: Model,
    features: Features,
    rows: LabelledRows,
    schema: Iterable[Field] | None = None,
    fields: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, object]:
    """Return the signature as a JSON-ready document: ranges, medians, modes and categories of the training rows.

    Labels, units and descriptions come from the schema; values that ``fields`` gives for an input (as ``product.serve`` declares them)
    take precedence over those of the rows.

    Raises
    ------
    DeclarationProblem : ``fields`` names something that is not an input, or a key that inputs do not have
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


def with_fields(
    inputs: list[dict[str, object]], fields: Mapping[str, Mapping[str, object]], place: str = ""
) -> list[dict[str, object]]:
    """Return inputs with declared values in place of those from the data."""
    names = [str(input_["name"]) for input_ in inputs]
    for name, declared in fields.items():
        if name not in names:
            raise DeclarationProblem(
                f"The form names '{name}', which is no input of the model.", nearest=nearest(name, names), where=place
            )
        for key in declared:
            if key not in FIELD_KEYS:
                raise DeclarationProblem(
                    f"Inputs have no '{key}', as declared for '{name}'.", nearest=nearest(key, FIELD_KEYS),
                    fix=f"Use {', '.join(FIELD_KEYS)}.", where=place,
                )  # fmt: skip
    return [{**input_, **fields.get(str(input_["name"]), {})} for input_ in inputs]


def _input(input_: InputDocument, column: pd.Series, declared: Field | None) -> dict[str, object]:
    present = column.dropna()
    field: dict[str, object] = {
        **input_,
        "label": declared.label if declared else None,
        "unit": declared.unit if declared else None,
        "description": declared.description if declared else None,
        "minimum": None, "maximum": None, "seen": None, "default": None, "values": None,
    }  # fmt: skip
    if present.empty:
        return field
    if input_["type"] == "string":
        texts = present.map(str)
        values = sorted(texts.unique())
        # Of equally frequent values the least, so that the order of the rows does not matter.
        return {**field, "default": min(texts.mode()), "values": values if len(values) <= MAX_VALUES else None}
    numbers = present.astype("float64")
    if input_["type"] == "boolean":
        return {**field, "default": bool(numbers.mean() > 0.5)}
    finite = numbers[numbers.map(math.isfinite)]
    if finite.empty:
        return field
    number_of = (lambda value: int(value)) if input_["type"] == "long" else float
    # The range of the training rows is not a limit: a growing feature leaves it one day. ``product.serve(fields=…)`` declares limits.
    return {**field, "seen": [number_of(finite.min()), number_of(finite.max())], "default": number_of(round(finite.median(), 6))}
