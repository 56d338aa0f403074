"""Rows held out of training, and the one score of a version by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.signature import class_names
from caudal.errors import DeclarationProblem, StepFailed, nearest
from caudal.stages.metrics.scores import scores
from caudal.stages.train.candidates import Fitted
from caudal.stages.train.rows import Rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Apart:
    """The features' rows, those to train on apart from those that are held out.

    Parameters
    ----------
    train : DataFrame, rows that may be trained on, those without a label among them
    held : DataFrame, labelled rows that are never trained on; None where nothing is held out
    left_out : rows that are neither: their label is not known when the held-out stretch begins, or their keys are held out by a table
    """

    train: pd.DataFrame
    held: pd.DataFrame | None = None
    left_out: int = 0


def apart(model: Model, features: Features, frame: pd.DataFrame, table: pd.DataFrame | None = None) -> Apart:
    """Return the rows to train on and the rows that the declaration holds out.

    Of a newest stretch, rows are trained on whose label is known when the stretch begins (``as_of + horizon`` at most its beginning).

    Parameters
    ----------
    frame : DataFrame, the features
    table : DataFrame, the table of rows that are held out, where the declaration names one

    Raises
    ------
    DeclarationProblem : the flag is no boolean column, the table lacks columns, or the features have no time to take a newest stretch of
    StepFailed : no row is held out, or none is left to train on
    """
    held_out = model.holdout
    if held_out is None:
        return Apart(frame)
    if held_out.flag is not None:
        split = _flagged(model, features, frame, held_out.flag)
    elif held_out.table is not None:
        assert table is not None
        split = _of_table(model, features, frame, table, held_out.table)
    else:
        split = _newest(model, features, frame)
    assert split.held is not None
    if split.held.empty or split.train[model.label].notna().sum() == 0:
        empty = "holds no labelled row out" if split.held.empty else "leaves no labelled row to train on"
        raise StepFailed(
            f"Model '{model.name}': the holdout ({held_out.described}) {empty}, of {len(frame):,} rows.",
            fix="Declare another holdout, or bring more data.",
            where=str(model.where or ""),
        )
    return split


def score_held_out(model: Model, fitted: Fitted, rows: Rows, split: Apart) -> dict[str, Any]:
    """Return how a fitted version does on the rows that were held out: every metric of the task, and which rows they were.

    Parameters
    ----------
    rows : those that the version was fitted to, which tell its inputs and classes
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


def _newest(model: Model, features: Features, frame: pd.DataFrame) -> Apart:
    import pandas as pd

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
        return Apart(frame, frame[known])
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
        # Rows of the moment at which the held-out rows begin may be their neighbours in everything.
        early = (times + horizon <= first) & (times < first)
    train = early & ~held
    return Apart(frame[train | ~known], frame[held], int((known & ~held & ~train).sum()))


def _flagged(model: Model, features: Features, frame: pd.DataFrame, flag: str) -> Apart:
    from pandas.api.types import infer_dtype

    _require(model, f"features '{features.name}' do not have", frame, [flag])
    if infer_dtype(frame[flag], skipna=True) not in ("boolean", "empty"):
        raise DeclarationProblem(
            f"Model '{model.name}' holds out the rows flagged by '{flag}', which is no boolean column.",
            fix="Give true and false.",
            where=str(model.where or ""),
            column=flag,
        )
    flagged = frame[flag].fillna(False).astype(bool)
    return Apart(frame[~flagged], frame[flagged & frame[model.label].notna()])


def _of_table(model: Model, features: Features, frame: pd.DataFrame, table: pd.DataFrame, name: str) -> Apart:
    needed = [column for column in map(str, frame.columns) if not column.startswith("_") and column not in features.keep]
    _require(model, f"the table '{name}' of its holdout does not have", table, needed)
    keys = [*features.entity, *([features.as_of] if features.as_of else [])]
    there = frame[keys].merge(table[keys].drop_duplicates().assign(_held=True), on=keys, how="left")["_held"].notna().to_numpy()
    known = frame[model.label].notna().to_numpy()
    return Apart(frame[~there], table[table[model.label].notna()], int((there & known).sum()))


def _require(model: Model, lacking: str, frame: pd.DataFrame, columns: list[str]) -> None:
    present = [str(column) for column in frame.columns]
    for column in columns:
        if column not in present:
            raise DeclarationProblem(
                f"Model '{model.name}' needs the column '{column}', which {lacking}.",
                nearest=nearest(column, present),
                where=str(model.where or ""),
                column=column,
            )
