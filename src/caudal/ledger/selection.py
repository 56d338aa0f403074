"""How selection rules and groups of candidates compared in a training, and how much inputs matter, read from its measurements."""

from __future__ import annotations

from typing import Any

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import measurements
from caudal.ledger.rows import EffectDocument, LaterDocument, ModelGroupDocument, RuleDocument

REGRET, BEST_IN, IMPORTANCE, LATER = "regret", "best_in_folds", "importance", "score_on_later_rows"


def compared_rules(ledger: Ledger, product: str, model: str, run_id: str) -> list[RuleDocument]:
    """Return the selection rules of a training, the least mean regret first; empty where there was nothing to choose."""
    rows = measurements(ledger, product=product, subject=model, subject_kind="model", metric=REGRET, run_id=run_id)
    documents: list[RuleDocument] = []
    for row in reversed(rows):
        detail: Any = row.detail
        documents.append(
            {
                "rule": str(row.group["rule"]), "declared": bool(detail["declared"]), "regret": row.value, "worst": row.high or 0.0,
                "decisions": row.count or 0, "choices": list(detail["choices"]), "now": str(detail["now"]),
            }
        )  # fmt: skip
    return sorted(documents, key=lambda document: document["regret"])


def compared_groups(ledger: Ledger, product: str, model: str, run_id: str) -> list[ModelGroupDocument]:
    """Return the candidates of a training by estimator class, the best class first; empty where no class had several."""
    rows = measurements(ledger, product=product, subject=model, subject_kind="model", metric=BEST_IN, run_id=run_id)
    documents: list[ModelGroupDocument] = []
    for row in reversed(rows):
        detail: Any = row.detail
        documents.append(
            {
                "group": str(row.group["class"]), "candidates": list(detail["candidates"]), "best": detail["best"], "worst": detail["worst"],
                "best_in": int(row.value), "folds": row.count or 0,
            }
        )  # fmt: skip
    return documents


def input_effects(ledger: Ledger, product: str, model: str, run_id: str) -> list[EffectDocument]:
    """Return how much each input mattered to the chosen candidate of a training, the most important first."""
    rows = measurements(ledger, product=product, subject=model, subject_kind="model", metric=IMPORTANCE, run_id=run_id)
    documents: list[EffectDocument] = []
    for row in reversed(rows):
        detail: Any = row.detail
        documents.append(
            {
                "input": str(row.group["input"]), "importance": row.value, "spread": 0.0 if row.high is None else row.high - row.value,
                "rows": row.count or 0, "values": detail.get("values"), "predictions": detail.get("predictions"),
            }
        )  # fmt: skip
    return documents


def later_scores(
    ledger: Ledger, product: str, model: str, *, version: int | None = None, run_id: str | None = None
) -> list[LaterDocument]:
    """Return how versions did on rows that came after their training, the newest figure first.

    Parameters
    ----------
    version : of this version alone
    run_id : measured in this run alone, which trained the version after it
    """
    rows = measurements(ledger, product=product, subject=model, subject_kind="model", metric=LATER, version=version, run_id=run_id)
    documents: list[LaterDocument] = []
    for row in rows:
        detail: Any = row.detail
        documents.append(
            {
                "version": row.version or 0, "metric": str(detail["metric"]), "estimate": detail["estimate"], "score": row.value, "rows": row.count or 0,
                "since": detail["since"], "until": detail["until"], "run_id": row.run_id,
            }
        )  # fmt: skip
    return documents
