"""Hold rows out of training, and score a version once by them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from pandas.api.types import infer_dtype

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.signature import class_names
from caudal.errors import DeclarationProblem, StepFailed, nearest
from caudal.stages.metrics.scores import scores
from caudal.stages.train.candidates import Fitted
from caudal.stages.train.rows import Rows


@dataclass(frozen=True)
class HoldoutSplit:
    """The features' rows, split into those to train on and those that are held out.

    Parameters
    ----------
    train : DataFrame, rows that may be trained on, including those without a label
    held : DataFrame, labelled rows that are never trained on; None where nothing is held out
    left_out : number of rows that are neither: their label is not known when the held-out stretch begins, or a table holds their keys out
    """

    train: pd.DataFrame
    held: pd.DataFrame | None = None
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
    held_out = model.holdout
    if held_out is None:
        return HoldoutSplit(frame)
    if held_out.flag is not None:
        split = _held_by_flag(model, features, frame, held_out.flag)
    elif held_out.table is not None:
        assert table is not None
        split = _held_by_table(model, features, frame, table, held_out.table)
    else:
        split = _held_newest(model, features, frame)
    assert split.held is not None
    if split.held.empty or split.train[model.label].notna().sum() == 0:
        empty = "holds no labelled row out" if split.held.empty else "leaves no labelled row to train on"
        raise StepFailed(
            f"Model '{model.name}': the holdout ({held_out.described}) {empty}, of {len(frame):,} rows.",
            fix="Declare another holdout, or bring more data.",
            where=str(model.where or ""),
        )
    return split


def score_held_out(model: Model, fitted: Fitted, rows: Rows, split: HoldoutSplit) -> dict[str, object]:
    """Return the score of a fitted version on the held-out rows: every metric of the task, and which rows they were.

    Parameters
    ----------
    rows : the rows that the version was fitted to, with its inputs and classes
    """
    assert split.held is not None
    assert model.holdout is not None
    held = split.held.reset_index(drop=True)
    actual = class_names(held[model.label]) if model.task == "classification" else held[model.label].astype("float64")
    figures = scores(model.task, actual, fitted.predict(held), rows.classes)
    return {
        "of": model.holdout.described,
        "rows": len(held),
        "left_out": split.left_out,
        "metric": model.metric,
        "metrics": figures,
    }


def _held_newest(model: Model, features: Features, frame: pd.DataFrame) -> HoldoutSplit:
    assert model.holdout is not None
    if not features.as_of:
        raise DeclarationProblem(
            f"Model '{model.name}' holds {model.holdout.described} out, and features '{features.name}' have no time (as_of).",
            fix="Hold a table or flagged rows out: cd.holdout(table=…) or cd.holdout(flag='column').",
            where=str(model.where or ""),
        )
    times = pd.to_datetime(frame[features.as_of])
    known = frame[model.label].notna() & times.notna()
    if not known.any():
        return HoldoutSplit(frame, frame[known])
    horizon = pd.Timedelta(model.horizon_s, "s")
    if model.holdout.newest_s is not None:
        cut = times[known].max() - pd.Timedelta(model.holdout.newest_s, "s")
        held, early = known & (times > cut), times + horizon <= cut
    else:
        keys = [name for name in features.entity if name != features.as_of]
        order = frame[known].assign(**{features.as_of: times[known]}).sort_values([features.as_of, *keys], kind="stable").index
        chosen = order[-(model.holdout.newest_rows or 0) :]
        held = pd.Series(frame.index.isin(chosen), index=frame.index) & known
        first = times[held].min()
        # Rows of the moment at which the held-out rows begin may be close to them in every respect.
        early = (times + horizon <= first) & (times < first)
    train = early & ~held
    return HoldoutSplit(frame[train | ~known], frame[held], int((known & ~held & ~train).sum()))


def _held_by_flag(model: Model, features: Features, frame: pd.DataFrame, flag: str) -> HoldoutSplit:
    _require_columns(model, f"features '{features.name}' do not have", frame, [flag])
    if infer_dtype(frame[flag], skipna=True) not in ("boolean", "empty"):
        raise DeclarationProblem(
            f"Model '{model.name}' holds out the rows flagged by '{flag}', which is no boolean column.",
            fix="Give true and false.",
            where=str(model.where or ""),
            column=flag,
        )
    flagged = frame[flag].fillna(False).astype(bool)
    return HoldoutSplit(frame[~flagged], frame[flagged & frame[model.label].notna()])


def _held_by_table(model: Model, features: Features, frame: pd.DataFrame, table: pd.DataFrame, name: str) -> HoldoutSplit:
    needed = [column for column in map(str, frame.columns) if not column.startswith("_") and column not in features.keep]
    _require_columns(model, f"the table '{name}' of its holdout does not have", table, needed)
    keys = [*features.entity, *([features.as_of] if features.as_of else [])]
    in_table = frame[keys].merge(table[keys].drop_duplicates().assign(_held=True), on=keys, how="left")["_held"].notna().to_numpy()
    known = frame[model.label].notna().to_numpy()
    return HoldoutSplit(frame[~in_table], table[table[model.label].notna()], int((in_table & known).sum()))


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
