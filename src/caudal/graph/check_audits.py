"""Check the declarations of audits and mitigations: models, metrics, columns and references that bind to nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from caudal.declarations.audit import MISSING, Audit, group_name
from caudal.declarations.governance import person_columns
from caudal.declarations.mitigation import Mitigation
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest


def problems_of_audit(product: Product, audit: Audit) -> Iterator[DeclarationProblem]:
    """Yield the problems of an audit that its declaration shows, without data."""
    model = product.models.get(audit.model)
    if model is None:
        yield DeclarationProblem(
            f"Model '{audit.model}' is to be audited, but nothing declares it.", nearest=nearest(audit.model, product.models),
            where=str(audit.where),
        )  # fmt: skip
        return
    yield from _metrics(audit, model)
    if model.task == "regression" and audit.positive is not None:
        yield DeclarationProblem(
            f"The audit of model '{model.name}' has a positive class, '{audit.positive}', and the model's task is regression.",
            fix="Leave positive= out.", where=str(audit.where),
        )  # fmt: skip
    if not isinstance(audit.reference, str):
        for column in audit.reference:
            if column not in audit.by:
                yield DeclarationProblem(
                    f"The audit of model '{model.name}' has a reference of '{column}', which by= does not name.",
                    nearest=nearest(column, audit.by), fix=f"It names {', '.join(audit.by)}.", where=str(audit.where),
                )  # fmt: skip
    features = product.feature_tables.get(model.features)
    if features is None:
        return
    yield from _one_of(audit, model, features)
    for column in audit.by:
        role = _unfit_role(features, model, column)
        if role is not None:
            yield DeclarationProblem(
                f"The audit of model '{model.name}' groups rows by '{column}', which is {role}.",
                fix="Group by a column that many rows share.", where=str(audit.where),
            )  # fmt: skip
        elif column in person_columns(product.subjects, model.features):
            yield DeclarationProblem(
                f"The audit of model '{model.name}' groups rows by '{column}', which identifies a person (product.subject).",
                fix="Group by a column that many people share.", where=str(audit.where),
            )  # fmt: skip


def _unfit_role(features: Features, model: Model, column: str) -> str | None:
    """Return what a column is that no rows have in common; None for a column that groups rows.

    One column of several that make the key may group rows: the zone of features by zone and hour.
    """
    if column == model.label:
        return "the label"
    if column == features.as_of:
        return "the time of each row"
    return "the key, so that each row would be a group" if features.key == (column,) else None


def problems_of_audit_columns(audit: Audit, features: Features, names: Collection[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns that an audit names and that the model's features do not have; ``names`` are the columns of the features."""
    for column in audit.by:
        if column not in names:
            yield DeclarationProblem(
                f"The audit of model '{audit.model}' groups rows by '{column}', and features '{features.name}' have no such column.",
                nearest=nearest(column, names), fix=f"Give it in the features' keep=[…]. There are {', '.join(names)}.",
                where=str(audit.where), model=audit.model, column=column,
            )  # fmt: skip


def problems_of_mitigations(
    model: Model, features: Features, names: Collection[str], inputs: Collection[str]
) -> Iterator[DeclarationProblem]:
    """Yield the columns that a model's mitigated candidates group by and that their features do not have, or do not give as inputs.

    Parameters
    ----------
    names : the columns of the features
    inputs : those of them that the model learns from
    """
    for name, candidate in model.candidates.items():
        if not isinstance(candidate, Mitigation):
            continue
        for column in candidate.group_columns:
            if column not in names:
                yield DeclarationProblem(
                    f"Candidate '{name}' of model '{model.name}' groups rows by '{column}', and features '{features.name}' have no such column.",
                    nearest=nearest(column, names), fix=f"Give it among the features. There are {', '.join(names)}.",
                    where=str(model.where), candidate=name, column=column,
                )  # fmt: skip
            elif candidate.groups_at_prediction and column not in inputs:
                yield DeclarationProblem(
                    f"Candidate '{name}' of model '{model.name}' needs each row's '{column}' when it predicts, and in features "
                    f"'{features.name}' that is no input.",
                    fix=f"Take '{column}' out of keep=[…], or mitigate with cd.reweigh or cd.reduction, which need it in training only.",
                    where=str(model.where), candidate=name, column=column,
                )  # fmt: skip


def _metrics(audit: Audit, model: Model) -> Iterator[DeclarationProblem]:
    # The metrics stand among the stages, above the graph; as kinds they are known by their names (``caudal.kinds``).
    known: Any = import_module("caudal.stages.audit.metrics_of") if audit.metrics else None
    for name in audit.metrics or ():
        metric = known.metric_of(name)
        if metric is None:
            yield DeclarationProblem(
                f"The audit of model '{model.name}' asks for the metric '{name}', which there is not.",
                nearest=nearest(name, known.metric_names()), where=str(audit.where), metric=name,
            )  # fmt: skip
            continue
        forms = known.metric_forms(metric)
        if ("numbers" in forms) != (model.task == "regression"):
            yield DeclarationProblem(
                f"The audit of model '{model.name}' asks for the metric '{name}', which is for "
                f"{'a regression' if 'numbers' in forms else 'a classification'}, and the model's task is {model.task}.",
                fix="Leave metrics= out for those that are usual for the task.", where=str(audit.where), metric=name,
            )  # fmt: skip


def _one_of(audit: Audit, model: Model, features: Features) -> Iterator[DeclarationProblem]:
    """Yield a reference that the features' expectation ``one_of`` does not allow."""
    if isinstance(audit.reference, str):
        return
    for expectation in features.expect:
        column, values = getattr(expectation, "column", None), getattr(expectation, "values", None)
        if expectation.kind != "one_of" or not isinstance(column, str) or column not in audit.reference or values is None:
            continue
        allowed = [group_name(value) for value in values]
        if audit.reference[column] not in (*allowed, MISSING):
            yield DeclarationProblem(
                f"The audit of model '{model.name}' takes the group '{audit.reference[column]}' of '{column}' as reference, which "
                f"features '{features.name}' expect no row to be of.",
                nearest=nearest(audit.reference[column], allowed), where=str(audit.where), column=column,
            )  # fmt: skip
