"""What is wrong with the service levels that a product declares, and which objectives a subject can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.service_levels import Agreement, Objective
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.registered import is_streamed

SubjectKind = Literal["table", "prediction", "serving", "stream"]
OBJECTIVES_OF: dict[SubjectKind, tuple[Objective, ...]] = {
    "table": ("fresh", "complete", "valid"),
    "prediction": ("fresh", "complete"),
    "serving": ("p95", "available"),
    "stream": ("fresh", "valid", "p95"),
}
_LEAST_FRESH_S = 120.0
_WORDS: dict[SubjectKind, str] = {
    "table": "a table", "prediction": "a table of predictions", "serving": "a model that is served", "stream": "a stream",
}  # fmt: skip


def subject_kind(product: Product, name: str) -> SubjectKind | None:
    """Return what a name that an SLA gives is; None where nothing of that name can have an SLA."""
    if name in product.nodes:
        return "stream" if isinstance(product.nodes[name], Source) and is_streamed(product, name) else "table"
    if name in product.predictions:
        return "prediction"
    return "serving" if name in product.servings else None


def problems_of_service_levels(product: Product) -> Iterator[DeclarationProblem]:
    """Yield service levels whose subject is not there, is named twice, or cannot have one of the objectives."""
    objectives: set[tuple[str, Objective]] = set()
    for agreement in product.agreements:
        kind = subject_kind(product, agreement.subject)
        if kind is None:
            yield _no_subject(product, agreement)
            continue
        if kind == "table" and is_streamed(product, agreement.subject):
            yield DeclarationProblem(
                f"An SLA names '{agreement.subject}', which a stream writes all the time.",
                fix="Give it to the stream's source.",
                where=str(agreement.where),
            )
            continue
        for objective in agreement.level.limits:
            if objective not in OBJECTIVES_OF[kind]:
                yield DeclarationProblem(
                    f"The SLA of '{agreement.subject}' promises {objective}, which {_WORDS[kind]} cannot have.",
                    fix=f"It can have {', '.join(OBJECTIVES_OF[kind])}.", where=str(agreement.where), objective=objective,
                )  # fmt: skip
            if (agreement.subject, objective) in objectives:
                yield DeclarationProblem(
                    f"Two SLAs of '{agreement.subject}' promise {objective}.", fix="Leave one out.", where=str(agreement.where)
                )
            objectives.add((agreement.subject, objective))
        if kind == "stream" and (agreement.level.fresh_s or _LEAST_FRESH_S) < _LEAST_FRESH_S:
            yield DeclarationProblem(
                f"The SLA of stream '{agreement.subject}' promises readings that are {agreement.level.fresh_s:g} seconds old at most.",
                fix="Streams are measured by the minute: promise 2 minutes or more.", where=str(agreement.where),
            )  # fmt: skip


def _no_subject(product: Product, agreement: Agreement) -> DeclarationProblem:
    if agreement.subject in product.models:
        return DeclarationProblem(
            f"An SLA names the model '{agreement.subject}', which is not served.",
            fix="Serve it with product.serve(model, sla=…), or name its predictions.",
            where=str(agreement.where),
        )
    names = (*product.nodes, *product.predictions, *product.servings)
    return DeclarationProblem(
        f"An SLA names '{agreement.subject}', which nothing declares.", nearest=nearest(agreement.subject, names),
        fix="Name a table, predictions, a served model or a stream's source.", where=str(agreement.where),
    )  # fmt: skip
