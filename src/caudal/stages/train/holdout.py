"""Hold rows out of training, and score a version on them once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from pandas.api.types import infer_dtype

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.signature import class_names
from caudal.errors import DeclarationProblem, StepFailed, nearest
from caudal.stages.metrics.scores import scores
from caudal.stages.train.candidates import FittedCandidate
from caudal.stages.train.rows import LabelledRows


@dataclass(frozen=True)
class HoldoutSplit:
    """The features' rows, split into those to train on and those that are held out.

    Parameters
    ----------
    train : DataFrame, rows that may be trained on, including those without a label
    held_out : DataFrame, labelled rows that are never trained on; None where nothing is held out
    left_out : number of rows in neither: their label is not known when the held-out stretch begins, or a table holds their keys out
    """

    train: pd.DataFrame
    held_out: pd.DataFrame | None = None
    left_out: int = 0


def split_holdout(model: Model, features: Features, frame: pd.DataFrame, table: pd.DataFrame | None = None) -> HoldoutSplit:
    """Return the rows to train on and the rows that the declaration holds out.

    Where the newest stretch is held out, rows are trained on only if their label is known when it begins (``as_of + horizon`` is not later).

    Parameters
    ----------
    frame : DataFrame, the features
    table : DataFrame, the table of rows that are held out, where the declaration names one

    Raises
    ------
    DeclarationProblem : the flag is not a boolean column, the table lacks columns, or the features have no time, so there is no newest stretch
    StepFailed : no row is held out, or none is left to train on
    """
    declared = model.holdout
    if declared is None:
        return HoldoutSplit(frame)
    if declared.flag is not None:
        split = _hold_out_flagged(model, features, frame, declared.flag)
    elif declared.table is not None:
        assert table is not None
        split = _hold_out_table(model, features, frame, table, declared.table)
    else:
        split = _hold_out_newest(model, features, frame)
    assert split.held_out is not None
    if split.held_out.empty or split.train[model.label].notna().sum() == 0:
        empty = "holds no labelled row out" if split.held_out.empty else "leaves no labelled row to train on"
        raise StepFailed(
            f"Model '{model.name}': the holdout ({declared.described}) {empty}, of {len(frame):,} rows.",
            fix="Declare another holdout, or add more data.",
            where=str(model.where or ""),
        )
    return split


def score_held_out(model: Model, fitted: FittedCandidate, rows: LabelledRows, split: HoldoutSplit) -> dict[str, object]:
    """Return the score of a fitted version on the held-out rows: every metric of the task, and which rows they were.

    Parameters
    ----------
    rows : the rows that the version was fitted to, with its inputs and classes
    """
    assert split.held_out is not None
    assert model.holdout is not None
    held_rows = split.held_out.reset_index(drop=True)
    actual = class_names(held_rows[model.label]) if model.task == "classification" else held_rows[model.label].astype("float64")
    figures = scores(model.task, actual, fitted.predict(held_rows), rows.classes)
    return {
        "of": model.holdout.described,
        "rows": len(held_rows),
        "left_out": split.left_out,
        "metric": model.metric,
        "metrics": figures,
    }


def _hold_out_newest(model: Model, features: Features, frame: pd.DataFrame) -> HoldoutSplit:
    assert model.holdout is not None
    if not features.as_of:
        raise DeclarationProblem(
            f"Model '{model.name}' holds {model.holdout.described} out, and features '{features.name}' have no time (as_of).",
            fix="Hold a table or flagged rows out: cd.holdout(table=…) or cd.holdout(flag='column').",
            where=str(model.where or ""),
        )
    times = pd.to_datetime(frame[features.as_of])
    is_labelled = frame[model.label].notna() & times.notna()
    if not is_labelled.any():
        return HoldoutSplit(frame, frame[is_labelled])
    horizon = pd.Timedelta(model.horizon_s, "s")
    if model.holdout.newest_s is not None:
        cut = times[is_labelled].max() - pd.Timedelta(model.holdout.newest_s, "s")
        is_held, is_early = is_labelled & (times > cut), times + horizon <= cut
    else:
        keys = [name for name in features.entity if name != features.as_of]
        order = (
            frame[is_labelled]
            .assign(**{features.as_of: times[is_labelled]})
            .sort_values([features.as_of, *keys], kind="stable")
            .index
        )
        chosen = order[-(model.holdout.newest_rows or 0) :]
        is_held = pd.Series(frame.index.isin(chosen), index=frame.index) & is_labelled
        held_from = times[is_held].min()
        # Rows of the moment at which the held-out rows begin may be close to them in every respect.
        is_early = (times + horizon <= held_from) & (times < held_from)
    is_train = is_early & ~is_held
    return HoldoutSplit(frame[is_train | ~is_labelled], frame[is_held], int((is_labelled & ~is_held & ~is_train).sum()))


def _hold_out_flagged(model: Model, features: Features, frame: pd.DataFrame, flag: str) -> HoldoutSplit:
    _require_columns(model, f"features '{features.name}' do not have", frame, [flag])
    if infer_dtype(frame[flag], skipna=True) not in ("boolean", "empty"):
        raise DeclarationProblem(
            f"Model '{model.name}' holds out the rows flagged by '{flag}', which is no boolean column.",
            fix="Use a column of true and false.",
            where=str(model.where or ""),
            column=flag,
        )
    flagged = frame[flag].fillna(False).astype(bool)
    return HoldoutSplit(frame[~flagged], frame[flagged & frame[model.label].notna()])


def _hold_out_table(model: Model, features: Features, frame: pd.DataFrame, table: pd.DataFrame, name: str) -> HoldoutSplit:
    needed = [column for column in map(str, frame.columns) if not column.startswith("_") and column not in features.keep]
    _require_columns(model, f"the table '{name}' of its holdout does not have", table, needed)
    keys = [*features.entity, *([features.as_of] if features.as_of else [])]
    in_table = frame[keys].merge(table[keys].drop_duplicates().assign(_held=True), on=keys, how="left")["_held"].notna().to_numpy()
    is_labelled = frame[model.label].notna().to_numpy()
    return HoldoutSplit(frame[~in_table], table[table[model.label].notna()], int((in_table & is_labelled).sum()))


def _require_columns(model: Model, lacking: str, frame: pd.DataFrame, columns: list[str]) -> None:
    present = [str(column) for column in frame.columns]
    for column in columns:
        if column not in present:
            raise DeclarationProblem(
                f"Model '{model.name}' needs the column '{column}', which {lacking}.",
                nearest=nearest(column, present),
                where=str(model.where or ""),
                column=column,
            )
