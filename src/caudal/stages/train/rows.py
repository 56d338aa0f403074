"""Choose the rows and columns that a model is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from pandas.api import types as kinds

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.schema import Field
from caudal.declarations.signature import InputDocument, class_names
from caudal.errors import DeclarationProblem, StepFailed, nearest


class TrainingInput(InputDocument):
    """An input as training sees it."""

    nullable: bool


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows in order of time.

    Parameters
    ----------
    frame : every column of the features, index 0 … n-1
    y : the label: float64, or classes as strings
    as_of : when each row was known; NaT for features without ``as_of``, whose rows have no order
    inputs : ``name``, ``type`` and ``nullable`` of each input
    classes : the classes, sorted; None for regression
    unlabelled, older : number of rows left out because their label is not known, and because there are ``max_rows`` newer ones
    """

    frame: pd.DataFrame
    y: pd.Series
    as_of: pd.Series
    inputs: tuple[TrainingInput, ...]
    classes: tuple[str, ...] | None
    unlabelled: int
    older: int

    def __len__(self) -> int:
        return len(self.frame)


def labelled_rows(model: Model, features: Features, frame: pd.DataFrame, schema: Iterable[Field] | None = None) -> LabelledRows:
    """Return the rows to train on: those whose label is known, the newest ``max_rows`` of them, in order of time and entity.

    Raises
    ------
    DeclarationProblem : the frame lacks the label, ``as_of`` or any input, or has an input of a type that no model takes
    StepFailed : no row has a label, or a row has no time
    """
    for name in (model.label, *features.key, *model.group_by):
        if name not in frame.columns:
            raise DeclarationProblem(
                f"Model '{model.name}' needs the column '{name}', which features '{features.name}' do not have.",
                nearest=nearest(name, map(str, frame.columns)), where=str(model.where or ""), column=name,
            )  # fmt: skip
    labelled_frame = frame[frame[model.label].notna()]
    if labelled_frame.empty:
        raise StepFailed(
            f"Model '{model.name}' has no row to learn from: none of {len(frame):,} rows has a known '{model.label}'.",
            fix=f"Check '{model.label}' in features '{features.name}'.", rows=len(frame),
        )  # fmt: skip
    keys = [name for name in features.entity if name != features.as_of]
    if not features.as_of:
        return _rows(model, features, frame, labelled_frame.sort_values(keys, kind="stable"), schema, len(labelled_frame))
    times = pd.to_datetime(labelled_frame[features.as_of])
    if times.isna().any():
        raise StepFailed(
            f"Model '{model.name}': {int(times.isna().sum()):,} of {len(labelled_frame):,} rows have no '{features.as_of}'.",
            fix=f"Leave them out in features '{features.name}', or expect not_null('{features.as_of}').",
        )
    # Spark returns rows in no fixed order; a fixed order makes reruns give identical models.
    ordered = labelled_frame.assign(**{features.as_of: times}).sort_values([features.as_of, *keys], kind="stable")
    return _rows(
        model, features, frame, ordered if model.max_rows is None else ordered.tail(model.max_rows), schema, len(labelled_frame)
    )


def _rows(
    model: Model, features: Features, frame: pd.DataFrame, chosen: pd.DataFrame, schema: Iterable[Field] | None, labelled_count: int
) -> LabelledRows:
    newest = chosen.reset_index(drop=True)
    inputs = tuple(input_types(model, features, newest, schema))
    label = class_names(newest[model.label]) if model.task == "classification" else _number(model, newest[model.label])
    classes = tuple(sorted(label.unique())) if model.task == "classification" else None
    if classes is not None and len(classes) < 2:
        raise StepFailed(
            f"Model '{model.name}' has one class only, '{classes[0]}', in {len(newest):,} rows.",
            fix="Train on more data, or another label.",
        )
    times = newest[features.as_of] if features.as_of else pd.Series(pd.NaT, index=newest.index, dtype="datetime64[ns]")
    return LabelledRows(newest, label, times, inputs, classes, len(frame) - labelled_count, labelled_count - len(newest))


def input_types(
    model: Model, features: Features, frame: pd.DataFrame, schema: Iterable[Field] | None = None
) -> list[TrainingInput]:
    """Return name, type and nullability of every input: all columns except keys, time, labels, kept columns, and those that begin with ``_``."""
    flag = model.holdout.flag if model.holdout else None
    left_out = {*features.not_inputs, model.label, flag}
    declared = {column.name: column for column in schema or ()}
    names = [str(name) for name in frame.columns if name not in left_out and not str(name).startswith("_")]
    if not names:
        raise DeclarationProblem(
            f"Model '{model.name}' has no input: every column of features '{features.name}' is a key, a time, a label or kept.",
            fix="Add columns to learn from to the features.", where=str(model.where or ""),
        )  # fmt: skip
    return [
        {"name": name, "type": _type(model, features, frame[name], declared.get(name)), "nullable": bool(frame[name].isna().any())}
        for name in names
    ]


def _type(model: Model, features: Features, column: pd.Series, declared: Field | None) -> str:
    if kinds.is_bool_dtype(column.dtype):
        return "boolean"
    if kinds.is_integer_dtype(column.dtype):
        return "long"
    if kinds.is_float_dtype(column.dtype):
        # pandas holds integers with nulls as floats; the declaration has the true type.
        return "long" if declared and declared.type in ("int", "long") else "double"
    if isinstance(column.dtype, kinds.CategoricalDtype):
        return _type(model, features, column.astype(object), declared)
    inferred = kinds.infer_dtype(column, skipna=True)
    if inferred == "empty":
        return "string" if declared and declared.type == "string" else "double"
    type_ = {
        "string": "string", "boolean": "boolean", "integer": "long", "floating": "double", "decimal": "double", "mixed-integer-float": "double",
    }.get(inferred)  # fmt: skip
    if type_:
        return type_
    time = kinds.is_datetime64_any_dtype(column.dtype) or inferred in (
        "datetime64",
        "datetime",
        "date",
        "timedelta64",
        "timedelta",
        "time",
    )
    fix = (
        f"Convert it to calendar features (caudal.calendar) or list it in keep=['{column.name}']."
        if time
        else f"Split it into columns of numbers or strings, or list it in keep=['{column.name}']."
    )
    raise DeclarationProblem(
        f"Model '{model.name}' cannot learn from the {'time' if time else inferred} column '{column.name}' of features '{features.name}'.",
        fix=fix, where=str(features.where or ""), column=str(column.name), type=inferred,
    )  # fmt: skip


def _number(model: Model, label: pd.Series) -> pd.Series:
    try:
        return label.astype("float64")
    except (TypeError, ValueError):
        raise DeclarationProblem(
            f"The label '{model.label}' of model '{model.name}' is no number.",
            fix="Declare the model with task='classification', or another label.", where=str(model.where or ""), column=model.label,
        ) from None  # fmt: skip
