"""Check the declarations of models: metrics, gates, candidates and columns that do not exist."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator

from caudal.declarations.estimator import is_h2o, why_not_stored
from caudal.declarations.governance import person_columns
from caudal.declarations.metrics import METRICS, needs_probabilities
from caudal.declarations.model import BASELINE, Hashed, Model, Selection, Temporal, TemporalRows
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.check_audits import problems_of_audit_columns, problems_of_mitigations
from caudal.graph.check_holdouts import flag_problems, problems_of_holdout
from caudal.kinds import RULES


def problems_of_model(product: Product, model: Model) -> Iterator[DeclarationProblem]:
    """Yield the problems of a model that its declaration shows, without data or an engine."""
    among = product.feature_tables
    features = among.get(model.features)
    if features is None:
        reason = "which is not declared by @product.features" if model.features in product.nodes else "which nothing declares"
        yield DeclarationProblem(
            f"Model '{model.name}' learns from '{model.features}', {reason}.",
            nearest=nearest(model.features, among),
            fix=f"Features are: {', '.join(among) or 'none yet'}.",
            where=str(model.where),
            model=model.name,
        )
        return
    if model.label not in features.labels:
        yield DeclarationProblem(
            f"Model '{model.name}' is to learn '{model.label}', which features '{features.name}' do not carry as a label.",
            nearest=nearest(model.label, features.labels),
            fix=f'Declare it there: @product.features(..., labels=["{model.label}"]).',
            where=str(model.where),
            model=model.name,
        )
    yield from _metrics(model)
    yield from _candidates(model)
    yield from _selection(model)
    yield from _retraining(product, model)
    yield from _order(model, features)
    yield from problems_of_holdout(product, model, features)
    if features.schema is not None and features.schema.names:
        yield from problems_of_model_columns(product, features, features.schema.names)


def problems_of_model_columns(product: Product, features: Features, names: Collection[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns that models and their forms name and that their features do not have.

    Parameters
    ----------
    names : the columns of the features
    """
    for model in product.models.values():
        if model.features != features.name:
            continue
        flag = model.holdout.flag if model.holdout else None
        inputs = [name for name in names if name not in (*features.not_inputs, flag) and not name.startswith("_")]
        if flag:
            yield from flag_problems(model, features, flag, names)
        named_columns = [(name, "in group_by=", names, "") for name in model.group_by]
        if isinstance(model.split, Hashed) and model.split.by:
            named_columns.append((model.split.by, "in its split, cd.hashed(by=)", names, "Give it in the features' keep=[…]. "))
        named_columns += [
            (column, f"in gate {gate.kind}", names, "Give it in the features' keep=[…]. ")
            for gate in model.gates
            for column in gate.columns
        ]
        serving = product.servings.get(model.name)
        asked = names if model.name in product.lookups else inputs  # keys and times are fields too
        named_columns += [(name, "in the fields= of product.serve", asked, "") for name in (serving.fields if serving else ())]
        for name, place, among, fix in named_columns:
            if name not in among:
                yield DeclarationProblem(
                    f"Model '{model.name}' names '{name}' {place}, and features '{features.name}' have no such "
                    f"{'column' if among is names else 'input'}.",
                    nearest=nearest(name, among),
                    fix=f"{fix}There are {', '.join(among)}.",
                    where=str(model.where),
                    model=model.name,
                    column=name,
                )
        yield from problems_of_mitigations(model, features, names, inputs)
        if (audit := product.audits.get(model.name)) is not None:
            yield from problems_of_audit_columns(audit, features, names)
        for gate in model.gates:
            for column in gate.columns:
                if column in person_columns(product.subjects, features.name):
                    yield DeclarationProblem(
                        f"Gate {gate.kind} of model '{model.name}' groups rows by '{column}', which identifies a person (product.subject), and "
                        "decisions keep the figures of each group.",
                        fix="Group by a column that many people share.",
                        where=str(model.where),
                        model=model.name,
                        column=column,
                    )
        if not inputs:
            yield DeclarationProblem(
                f"Model '{model.name}' has no input: every column of features '{features.name}' is a key, a time, a label or kept.",
                fix="Let the features give columns to learn from.",
                where=str(model.where),
                model=model.name,
            )


def _metrics(model: Model) -> Iterator[DeclarationProblem]:
    if model.task not in METRICS:
        yield DeclarationProblem(
            f"Model '{model.name}' has the task '{model.task}'.",
            nearest=nearest(model.task, METRICS),
            fix=f"Use {' or '.join(METRICS)}.",
            where=str(model.where),
        )
        return
    among = METRICS[model.task]
    named_metrics = [(model.metric, "metric="), *((metric, f"gate {gate.kind}") for gate in model.gates for metric in gate.metrics)]
    for metric, place in named_metrics:
        if metric in among:
            continue
        task = next((task for task, metrics in METRICS.items() if metric in metrics), None)
        yield DeclarationProblem(
            f"Model '{model.name}' asks for the metric '{metric}' ({place}), "
            + (f"which is one of {task}, and its task is {model.task}." if task else "which there is not."),
            nearest=nearest(metric, among),
            fix=f"Use one of {', '.join(among)}" + (f", or declare task='{task}'." if task else "."),
            where=str(model.where),
            model=model.name,
            metric=metric,
        )
    for gate in model.gates:
        if model.task not in gate.tasks:
            yield DeclarationProblem(
                f"Model '{model.name}' {gate.aim}, a metric of {' and '.join(gate.tasks)}, and its task is {model.task}.",
                where=str(model.where),
                model=model.name,
            )
        for candidate in gate.candidates:
            if candidate not in (*model.candidates, BASELINE):
                yield DeclarationProblem(
                    f"Gate {gate.kind} of model '{model.name}' binds to nothing: there is no candidate '{candidate}'.",
                    nearest=nearest(candidate, model.candidates),
                    where=str(model.where),
                )


def _candidates(model: Model) -> Iterator[DeclarationProblem]:
    if not model.candidates:
        yield DeclarationProblem(
            f"Model '{model.name}' has no candidate.",
            fix='Give at least one: candidates={"ridge": Ridge()}.',
            where=str(model.where),
        )
    if BASELINE in model.candidates:
        yield DeclarationProblem(
            f"Model '{model.name}' has a candidate named '{BASELINE}'.",
            fix="The naive baseline is always there under that name.",
            where=str(model.where),
        )
    probability_metrics = {
        metric
        for metric in (model.metric, *(metric for gate in model.gates for metric in gate.metrics))
        if needs_probabilities(metric)
    }
    for name, candidate in model.candidates.items():
        if inspect.isfunction(candidate) or hasattr(candidate, "extractParamMap"):  # made when it is trained; Spark ML
            continue
        kind = candidate.__name__ if isinstance(candidate, type) else type(candidate).__name__
        lacking = [method for method in ("fit", "predict", "get_params") if not hasattr(candidate, method)]
        if lacking:
            yield DeclarationProblem(
                f"Candidate '{name}' of model '{model.name}' is a {kind}, which cannot be trained: it has no {' and no '.join(lacking)}.",
                fix="Use a scikit-learn estimator, a Spark ML estimator, or a function that returns one.",
                where=str(model.where),
                candidate=name,
            )
            continue
        if (reason := why_not_stored(candidate)) is not None:
            yield DeclarationProblem(
                f"Candidate '{name}' of model '{model.name}' {reason[0]}.", fix=reason[1], where=str(model.where), candidate=name
            )
        if is_h2o(candidate):  # gives probabilities wherever the label is a class
            continue
        if model.task == "classification" and _is_regressor(candidate):
            yield DeclarationProblem(
                f"Candidate '{name}' of model '{model.name}' is a {kind}, a regressor, and the model's task is classification.",
                fix="Use a classifier.",
                where=str(model.where),
                candidate=name,
            )
        elif model.task == "classification" and probability_metrics and not hasattr(candidate, "predict_proba"):
            yield DeclarationProblem(
                f"Candidate '{name}' of model '{model.name}' is a {kind}, which gives no probabilities, and {' and '.join(sorted(probability_metrics))} "
                f"{'is' if len(probability_metrics) == 1 else 'are'} made of them.",
                fix="Use one with predict_proba (such as CalibratedClassifierCV around it), or the metric accuracy, error_rate or f1.",
                where=str(model.where),
                candidate=name,
            )


def _selection(model: Model) -> Iterator[DeclarationProblem]:
    if model.select is None:
        return
    if not isinstance(model.select, Selection):
        name = model.select if isinstance(model.select, str) else getattr(model.select, "__name__", type(model.select).__name__)
        near = nearest(str(name), RULES)
        yield DeclarationProblem(
            f"Model '{model.name}' is to choose by select={name!r}, which is no selection rule.",
            nearest=near,
            fix=f"Write select=cd.{near or 'best_mean'}().",
            where=str(model.where),
            model=model.name,
        )
        return
    for name in model.select.candidates:
        if name not in model.candidates:
            yield DeclarationProblem(
                f"The rule {model.select.kind} of model '{model.name}' names the candidate '{name}', which there is not.",
                nearest=nearest(name, model.candidates),
                where=str(model.where),
                model=model.name,
                candidate=name,
            )


def _retraining(product: Product, model: Model) -> Iterator[DeclarationProblem]:
    if model.retrain is not None and model.retrain.drift and all(monitor.of != model.name for monitor in product.monitors.values()):
        yield DeclarationProblem(
            f"Model '{model.name}' is to be trained again on drift, and no monitor watches it.",
            fix=f'Declare one, product.monitor("{model.name}"), or another retrain=.',
            where=str(model.where),
            model=model.name,
        )


def _is_regressor(candidate: object) -> bool:
    tags = getattr(candidate, "__sklearn_tags__", None)
    if tags is None or isinstance(candidate, type):
        return getattr(candidate, "_estimator_type", None) == "regressor"
    try:
        return bool(tags().estimator_type == "regressor")
    except (
        AttributeError,
        TypeError,
        ValueError,
        NotImplementedError,
    ):  # an estimator of the user's own whose tags cannot be made: training tells
        return False


def _order(model: Model, features: Features) -> Iterator[DeclarationProblem]:
    """Yield options that need rows in order of time (folds over time, newest rows, a horizon) where the features have no ``as_of``."""
    if features.as_of:
        return
    if isinstance(model.split, Temporal | TemporalRows):
        yield DeclarationProblem(
            f"Model '{model.name}' splits over time (cd.temporal), and features '{features.name}' have no as_of.",
            fix='Split by a key, split=cd.hashed(test=0.25), or declare when a row was known: @product.features(as_of="…").',
            where=str(model.where),
            model=model.name,
        )
    if model.max_rows is not None:
        yield DeclarationProblem(
            f"Model '{model.name}' is to learn from the newest {model.max_rows:,} rows, and features '{features.name}' have no as_of.",
            fix="Leave max_rows out, or declare when a row was known: @product.features(as_of=…).",
            where=str(model.where),
            model=model.name,
        )
    if model.horizon_s:
        yield DeclarationProblem(
            f"Model '{model.name}' has a horizon, and features '{features.name}' have no as_of that it could count from.",
            fix="Leave horizon out, or declare when a row was known: @product.features(as_of=…).",
            where=str(model.where),
            model=model.name,
        )
