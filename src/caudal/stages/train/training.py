"""Training: labelled rows in; evaluated candidates, the chosen model and its gates out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.model import Hashed, Model, TemporalRows
from caudal.declarations.node import Features
from caudal.declarations.schema import Field
from caudal.errors import StepFailed
from caudal.stages.gates.evidence import Champion, Evidence, GateResult
from caudal.stages.metrics.scores import known_metric
from caudal.stages.train.candidates import Candidate, Fitted, candidates
from caudal.stages.train.evaluate import Result, evaluate
from caudal.stages.train.gates import check_gates, judge
from caudal.stages.train.holdout import apart, score_held_out
from caudal.stages.train.rows import Rows, labelled
from caudal.stages.train.select import select
from caudal.stages.train.signature import signature
from caudal.stages.train.split import folds, hashed_folds, iso, row_folds

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Parameters
    ----------
    results : of every candidate, the baseline first
    chosen : name of the chosen candidate
    rule : a sentence that says why it was chosen
    fitted : the chosen candidate, fitted to all labelled rows
    metrics : of the chosen candidate: mean of each metric over the folds, and ``<metric>_spread`` of the model's metric
    rows : rows it was fitted to, from ``training_from`` until ``training_until`` (ISO; None for rows without a time)
    rows_unlabelled, rows_older : rows left out: without a label, and beyond ``max_rows``
    holdout : how it does on the rows that were held out (``score_held_out``); None where none are, or a gate refused it
    """

    results: tuple[Result, ...]
    chosen: str
    rule: str
    fitted: Fitted
    signature: dict[str, Any]
    gates: tuple[GateResult, ...]
    metric: str
    metrics: dict[str, float | None]
    parameters: dict[str, Any]
    rows: int
    training_from: str | None
    training_until: str | None
    rows_unlabelled: int
    rows_older: int
    holdout: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        """Whether every gate was passed."""
        return all(gate.passed for gate in self.gates)


def train(
    model: Model,
    features: Features,
    frame: pd.DataFrame,
    *,
    champion: Champion | None = None,
    spark: Callable[[], SparkSession] | None = None,
    schema: Iterable[Field] | None = None,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[str], None] | None = None,
    held_out: pd.DataFrame | None = None,
) -> Trained:
    """Return the model that the declaration asks for, trained on some features.

    Parameters
    ----------
    frame : DataFrame, the features, one row per entity and ``as_of``; rows without a label are left out
    champion : the version in production, for ``beats_champion``
    spark : gives the Spark session, asked only when a candidate is Spark ML
    schema : labels and units of columns; the features' own schema unless given
    fields : what ``product.serve`` says of the inputs
    progress : is told a line for every fold
    held_out : DataFrame, the table of the model's holdout, where it names one

    Raises
    ------
    DeclarationProblem : a column, metric, candidate or gate binds to nothing, or an input has a type that no model takes
    StepFailed : too little data for the declared split, or every candidate failed
    """
    tell = progress or (lambda _: None)
    schema = tuple(schema if schema is not None else (features.schema or ()))
    known_metric(model, model.metric)
    check_gates(model, [str(name) for name in frame.columns])
    split = apart(model, features, frame, held_out)
    rows = labelled(model, features, split.train, schema)
    described = signature(model, features, rows, schema, fields)
    if isinstance(model.split, Hashed):
        stretches = hashed_folds(rows.frame, model.split, features.entity, rows.as_of, model.name)
    elif isinstance(model.split, TemporalRows):
        stretches = row_folds(rows.as_of, model.split, model.horizon_s, model.name)
    else:
        stretches = folds(rows.as_of, model.split, model.horizon_s, model.name)
    among = candidates(model, rows, spark)
    evaluated = evaluate(model, rows, stretches, among, tell)
    best, rule = select(model, evaluated)
    gates = judge(Evidence(model, rows, stretches, evaluated, best, champion))
    tell(f"{best.name} is fitted to all {len(rows):,} rows")
    fitted = _final(model, best.name, among[best.name], rows)
    # Held-out rows are looked at once, for a version that is to go into production: what is looked at again and again is trained on in the end.
    promoted = split.held is not None and all(gate.passed for gate in gates)
    return Trained(
        results=tuple(one.result for one in evaluated.values()),
        chosen=best.name,
        rule=rule + (f" The newest {len(rows):,} of {len(rows) + rows.older:,} labelled rows were used." if rows.older else ""),
        fitted=fitted,
        signature=described,
        gates=gates,
        metric=model.metric,
        metrics={**best.metrics, f"{model.metric}_spread": best.spread},
        parameters=dict(best.parameters),
        rows=len(rows),
        training_from=iso(rows.as_of.iloc[0]),
        training_until=iso(rows.as_of.iloc[-1]),
        rows_unlabelled=rows.unlabelled,
        rows_older=rows.older,
        holdout=score_held_out(model, fitted, rows, split) if promoted else None,
    )


def _final(model: Model, name: str, candidate: Candidate, rows: Rows) -> Fitted:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told already, with the folds
            return candidate.fit(rows.frame, rows.y)
    except Exception as raised:
        raise StepFailed(
            f"Candidate '{name}' of model '{model.name}' was chosen, but failed when fitted to all {len(rows):,} rows: {raised}",
            where=str(model.where or ""), candidate=name,
        ) from raised  # fmt: skip
