"""Train a model: labelled rows in; evaluated candidates, the chosen model and its gates out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from caudal.declarations.model import Hashed, Model, TemporalRows
from caudal.declarations.node import Features
from caudal.declarations.schema import Field
from caudal.errors import StepFailed
from caudal.stages.explain.effects import InputEffect
from caudal.stages.frameworks.h2o_server import H2OServer
from caudal.stages.gates.evidence import Champion, Evidence, GateResult
from caudal.stages.metrics.scores import require_metric
from caudal.stages.train.candidates import Candidate, FittedCandidate, candidates
from caudal.stages.train.duplicates import Duplicates, find_duplicates
from caudal.stages.train.evaluate import EvaluatedCandidate, evaluate
from caudal.stages.train.explained import effects_of_inputs
from caudal.stages.train.gates import check_gates, judge_gates
from caudal.stages.train.holdout import score_held_out, split_holdout
from caudal.stages.train.later import LaterScore, score_on_later_rows
from caudal.stages.train.parallel import one_thread_for_few
from caudal.stages.train.regret import ModelGroup, RuleRegret, compare_rules, model_groups
from caudal.stages.train.rows import LabelledRows, labelled_rows
from caudal.stages.train.select import comparison, eligible_results, rule_of, select
from caudal.stages.train.signature import signature
from caudal.stages.train.split import Fold, folds, hashed_folds, iso_timestamp, row_folds

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Parameters
    ----------
    results : of every candidate, the baseline first
    chosen : name of the chosen candidate
    rule : a sentence that says why it was chosen
    fitted : the chosen candidate, fitted to all labelled rows
    metrics : of the chosen candidate: mean of each metric over the folds, and ``<metric>_spread`` of the model's metric
    rows : number of rows it was fitted to, from ``training_from`` until ``training_until`` (ISO; None for rows without a time)
    rows_unlabelled, rows_older : numbers of rows left out: without a label, and beyond ``max_rows``
    holdout : its score on the held-out rows (``score_held_out``); None where none are held out, or a gate refused it
    rules : each selection rule with its regret; empty where there was nothing to choose, or one fold only
    groups : the candidates by estimator class, where a class has several
    effects : how much each input matters to the chosen candidate, the most important first
    later : how the version in production did on rows that came after its training
    """

    results: tuple[EvaluatedCandidate, ...]
    chosen: str
    rule: str
    fitted: FittedCandidate
    signature: dict[str, object]
    gates: tuple[GateResult, ...]
    metric: str
    metrics: dict[str, float | None]
    parameters: dict[str, object]
    rows: int
    training_from: str | None
    training_until: str | None
    rows_unlabelled: int
    rows_older: int
    holdout: dict[str, object] | None = None
    rules: tuple[RuleRegret, ...] = ()
    groups: tuple[ModelGroup, ...] = ()
    effects: tuple[InputEffect, ...] = ()
    later: LaterScore | None = None

    @property
    def passed(self) -> bool:
        """Return whether every gate was passed."""
        return all(gate.passed for gate in self.gates)


def train(
    model: Model,
    features: Features,
    frame: pd.DataFrame,
    *,
    champion: Champion | None = None,
    spark: Callable[[], SparkSession] | None = None,
    schema: Iterable[Field] | None = None,
    fields: Mapping[str, Mapping[str, object]] | None = None,
    progress: Callable[[str], None] | None = None,
    held_out: pd.DataFrame | None = None,
    examine: Callable[[Evidence], None] | None = None,
    jobs: int | None = None,
) -> Trained:
    """Return the declared model, trained on some features.

    Parameters
    ----------
    frame : DataFrame, the features, one row per entity and ``as_of``; rows without a label are left out
    champion : the version in production, for ``beats_champion``
    spark : returns the Spark session, called only when a candidate is Spark ML
    schema : labels and units of columns; the schema of the features unless given
    fields : the keys of inputs that ``product.serve`` declares
    progress : called with a line before and after every fold
    held_out : DataFrame, the table of the model's holdout, where it names one
    examine : called with what the gates judge by: the only time that the test predictions of all candidates are in memory
    jobs : processes that fit candidates at the same time; None fits in this process

    Raises
    ------
    DeclarationProblem : a column, metric, candidate or gate does not exist, or an input has a type that no model takes
    StepFailed : too little data for the declared split, or every candidate failed
    """
    report = progress or (lambda _: None)
    schema = tuple(schema if schema is not None else (features.schema or ()))
    require_metric(model, model.metric)
    check_gates(model, [str(name) for name in frame.columns])
    split = split_holdout(model, features, frame, held_out)
    rows = labelled_rows(model, features, split.train, schema)
    signature_ = signature(model, features, rows, schema, fields)
    duplicates: Duplicates | None = None
    if isinstance(model.split, Hashed):
        folds_, duplicates = _folds_and_duplicates(model, model.split, features, rows)
    elif isinstance(model.split, TemporalRows):
        folds_ = row_folds(rows.as_of, model.split, model.horizon_s, model.name)
    else:
        folds_ = folds(rows.as_of, model.split, model.horizon_s, model.name)
    with one_thread_for_few(len(rows) * len(rows.inputs)), H2OServer() as h2o:  # started by the first fit that needs it
        by_name = candidates(model, rows, spark, h2o)
        evaluated = evaluate(model, rows, folds_, by_name, report, jobs)
        best, rule = select(model, evaluated)
        compared = comparison(model, eligible_results(evaluated))
        evidence = Evidence(model, rows, folds_, evaluated, best, champion)
        gates = judge_gates(evidence)
        if examine is not None:
            examine(evidence)
        report(f"{best.name} is fitted to all {len(rows):,} rows")
        fitted = _fit_chosen(model, best.name, by_name[best.name], rows)
        # Held-out rows are used once, for a version that goes into production: choosing by their score again and again would be training on them.
        promoted = split.held_out is not None and all(gate.passed for gate in gates)
        holdout = score_held_out(model, fitted, rows, split) if promoted else None
        later = score_on_later_rows(model, rows, champion)
        effects = effects_of_inputs(model, rows, folds_[-1], evaluated[best.name])
    found: Mapping[str, object] = getattr(fitted, "found", {})
    return Trained(
        results=tuple(evaluation.result for evaluation in evaluated.values()),
        chosen=best.name,
        rule=rule
        + (f" The search of {best.name} found {', '.join(f'{name}={value}' for name, value in found.items())}." if found else "")
        + (f" The newest {len(rows):,} of {len(rows) + rows.older:,} labelled rows were used." if rows.older else "")
        + (f" {duplicates.sentence}" if duplicates and duplicates.sentence else ""),
        fitted=fitted,
        signature=signature_,
        gates=gates,
        metric=model.metric,
        metrics={**best.metrics, f"{model.metric}_spread": best.spread},
        parameters={**best.parameters, **{f"found__{name}": value for name, value in found.items()}},
        rows=len(rows),
        training_from=iso_timestamp(rows.as_of.iloc[0]),
        training_until=iso_timestamp(rows.as_of.iloc[-1]),
        rows_unlabelled=rows.unlabelled,
        rows_older=rows.older,
        holdout=holdout,
        rules=compare_rules(rule_of(model), compared),
        later=later,
        effects=effects,
        groups=model_groups(compared, {name: evaluation.result for name, evaluation in evaluated.items()}),
    )


def _folds_and_duplicates(
    model: Model, split: Hashed, features: Features, rows: LabelledRows
) -> tuple[tuple[Fold, ...], Duplicates]:
    """Return folds by key that keep near-duplicates together; where those are too few groups for the folds, folds that do not."""
    duplicates = find_duplicates(rows)
    if duplicates.rows:
        try:
            return hashed_folds(rows.frame, split, features.entity, rows.as_of, model.name, duplicates.group), duplicates
        except StepFailed:
            duplicates = replace(duplicates, scattered=True)
    return hashed_folds(rows.frame, split, features.entity, rows.as_of, model.name), duplicates


def _fit_chosen(model: Model, name: str, candidate: Candidate, rows: LabelledRows) -> FittedCandidate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reported already, with the folds
            return candidate.fit(rows.frame, rows.y)
    except Exception as raised:
        raise StepFailed(
            f"Candidate '{name}' of model '{model.name}' was chosen, but failed when fitted to all {len(rows):,} rows: {raised}",
            where=str(model.where or ""), candidate=name,
        ) from raised  # fmt: skip
