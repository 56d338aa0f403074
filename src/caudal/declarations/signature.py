"""Inputs and outputs of models: training, serving and prediction use the same casts.

The functions take pandas frames, but this module imports neither pandas nor an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypeVar

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.errors import StepFailed, nearest
from caudal.json_value import Scalar

Frame = TypeVar("Frame")  # a pandas frame; its type would import pandas here

NUMBERS = ("double", "long", "boolean")
PREDICTION = "prediction"


class InputDocument(TypedDict):
    """An input of a model."""

    name: str
    type: str
    unit: NotRequired[str | None]


class OutputDocument(TypedDict):
    """What a model predicts."""

    name: str
    type: str
    unit: str | None
    classes: list[Scalar] | None


class SignatureDocument(TypedDict):
    """What a version takes and gives."""

    inputs: list[InputDocument]
    output: OutputDocument
    example: NotRequired[dict[str, Scalar]]


@dataclass(frozen=True)
class RowPredictions:
    """Predictions of rows, in their order.

    Parameters
    ----------
    values : the number or the class that is predicted for each row
    shares : the probabilities of each class, by its name as text; empty for numbers
    """

    values: list[Any]
    shares: dict[str, list[float]]


def coerce_inputs(frame: Frame, inputs: Sequence[InputDocument]) -> Frame:
    """Return a model's inputs in the signature's order: numbers and booleans as float64, strings as object, missing values as NaN.

    With one type for all numbers a column has the same type whether or not a batch contains nulls.

    Parameters
    ----------
    frame : DataFrame, one row per prediction; further columns are left out
    inputs : the ``inputs`` of a signature: ``name`` and ``type`` of each

    Raises
    ------
    StepFailed : an input is missing, or a numeric input holds a value that is no number
    """
    rows: Any = frame
    names = [input_["name"] for input_ in inputs]
    for name in names:
        if name not in rows.columns:
            raise StepFailed(
                f"The model needs the input '{name}', which the rows do not have.",
                nearest=nearest(name, map(str, rows.columns)),
                column=name,
            )
    numbers = {input_["name"]: "float64" for input_ in inputs if input_["type"] in NUMBERS}
    try:
        cast: Any = rows[names].astype(numbers)
    except (TypeError, ValueError) as error:
        raise StepFailed(
            f"A numeric input of the model holds a value that is no number: {error}.", column=_first_non_numeric(rows, numbers)
        ) from None
    for input_ in inputs:
        if input_["type"] == "string":
            texts = cast[input_["name"]].astype(object)
            cast[input_["name"]] = texts.map(str, na_action="ignore").where(texts.notna(), float("nan")).astype(object)
    coerced_frame: Frame = cast
    return coerced_frame


def prediction_frame(frame: Frame, prediction: object, probabilities: Any = None, classes: Sequence[Scalar] | None = None) -> Frame:
    """Return predictions in the form that all models of caudal use.

    Returns
    -------
    DataFrame with the index of ``frame``: ``prediction`` (float64, or the class as string), and ``probability_<class>`` where the
    model returns probabilities : float64 [n, classes]
    """
    columns: dict[str, object] = {PREDICTION: _doubles(prediction)}
    if probabilities is not None and classes is not None:
        shares: Any = _doubles(probabilities)
        columns |= {f"probability_{name}": shares[:, at] for at, name in enumerate(classes)}
    rows: Any = frame
    answered: Frame = type(rows)(columns, index=rows.index)
    return answered


def class_names(label: Any) -> Any:
    """Return a label column of classes as strings: ``true`` and ``false`` for booleans, whole numbers without a decimal point."""
    return label.map(class_name, na_action="ignore").astype(object)


def class_name(value: object) -> str:
    """Return a class as string.

    Examples
    --------
    >>> class_name(1.0), class_name(True), class_name("low")
    ('1', 'true', 'low')
    """
    if type(value).__name__ in ("bool", "bool_"):
        return str(bool(value)).lower()
    if type(value).__name__.startswith("float") and float(value).is_integer():  # type: ignore[arg-type]
        return str(int(value))  # type: ignore[call-overload]
    return str(value)


def _doubles(values: Any) -> object:
    """Return floating-point numbers in double precision, in which they are stored; anything else unchanged."""
    return values.astype("float64") if getattr(getattr(values, "dtype", None), "kind", "") == "f" else values


def _first_non_numeric(frame: Any, numbers: Mapping[str, str]) -> str | None:
    for name in numbers:
        try:
            frame[name].astype("float64")
        except (TypeError, ValueError):
            return name
    return None
