"""What goes into a model and what comes out: the same casts when it is trained, stored, served and predicted with.

It works on the pandas frames it is given, and imports no engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypeVar

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.errors import StepFailed, nearest
from caudal.json_value import Scalar

Frame = TypeVar("Frame")  # a pandas frame; saying so would import pandas into the room of declarations

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


def coerced(frame: Frame, inputs: Sequence[InputDocument]) -> Frame:
    """Return a model's inputs in its own order: numbers and booleans as float64, strings as object, nothing known as NaN.

    One representation for all numbers keeps a column from changing its type when a batch happens to hold nulls.

    Parameters
    ----------
    frame : DataFrame, one row per thing to predict; further columns are left out
    inputs : the ``inputs`` of a signature: ``name`` and ``type`` of each

    Raises
    ------
    StepFailed : an input is missing, or holds what is no number
    """
    given: Any = frame
    names = [input_["name"] for input_ in inputs]
    for name in names:
        if name not in given.columns:
            raise StepFailed(
                f"The model needs the input '{name}', which the rows do not have.",
                nearest=nearest(name, map(str, given.columns)),
                column=name,
            )
    numbers = {input_["name"]: "float64" for input_ in inputs if input_["type"] in NUMBERS}
    try:
        cast: Any = given[names].astype(numbers)
    except (TypeError, ValueError) as error:
        raise StepFailed(
            f"An input of the model that must be a number is none: {error}.", column=_culprit(given, numbers)
        ) from None
    for input_ in inputs:
        if input_["type"] == "string":
            said = cast[input_["name"]].astype(object)
            cast[input_["name"]] = said.map(str, na_action="ignore").where(said.notna(), float("nan")).astype(object)
    coerced_frame: Frame = cast
    return coerced_frame


def answer(frame: Frame, prediction: object, probabilities: Any = None, classes: Sequence[Scalar] | None = None) -> Frame:
    """Return predictions as every model of caudal gives them.

    Returns
    -------
    DataFrame with the index of ``frame``: ``prediction`` (float64, or the class as string), and ``probability_<class>`` where the
    model knows probabilities : float64 [n, classes]
    """
    columns: dict[str, object] = {PREDICTION: prediction}
    if probabilities is not None and classes is not None:
        columns |= {f"probability_{name}": probabilities[:, at] for at, name in enumerate(classes)}
    given: Any = frame
    answered: Frame = type(given)(columns, index=given.index)
    return answered


def class_names(label: Any) -> Any:
    """Return a label column of classes as strings: ``true`` and ``false`` for booleans, whole numbers without a decimal point."""
    return label.map(class_name, na_action="ignore").astype(object)


def class_name(value: object) -> str:
    """Return one class as string.

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


def _culprit(frame: Any, numbers: Mapping[str, str]) -> str | None:
    for name in numbers:
        try:
            frame[name].astype("float64")
        except (TypeError, ValueError):
            return name
    return None
