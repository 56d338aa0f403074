"""Decisions about versions: appended, never changed. The newest promotion or rollback determines what is in production."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions
from caudal.ledger.rows import ChampionRow, DecisionRow, ModelVersionRow, TrialDocument
from caudal.ledger.trials import WITHDRAWN, open_trial
from caudal.registry.load import version_row

Clock = Callable[[], float]
PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"


def promote(
    ledger: Ledger, product: str, model: str, version: int, *, gates: Iterable[object] = (), who: str, reason: str | None = None,
    run_id: str | None = None, clock: Clock = time.time,
) -> DecisionRow:  # fmt: skip
    """Put a version into production and return the decision; a version already in production gets no second decision. A trial is ended.

    Parameters
    ----------
    gates : results of the gates, as dictionaries or with ``as_dict()``

    Raises
    ------
    NotThere : the version does not exist
    """
    version_row(ledger, product, model, version)
    champion = ledger.champion(product, model)
    if champion and champion["version"] == version:
        return champion["decision"]
    return append_decision(ledger, product, model, version, PROMOTED, gates, who, reason, run_id, clock, champion)


def refuse(
    ledger: Ledger, product: str, model: str, version: int, *, gates: Iterable[object] = (), who: str, reason: str | None = None,
    run_id: str | None = None, clock: Clock = time.time,
) -> DecisionRow:  # fmt: skip
    """Record that a version did not pass, and return the decision; consecutive refusals of a version are recorded once. Its trial is ended."""
    version_row(ledger, product, model, version)
    trial = open_trial(ledger, product, model)
    if trial is not None and trial["version"] == version:
        append_decision(ledger, product, model, version, WITHDRAWN, (), who, "refused", run_id, clock, None)
    before = ledger.find(decisions, product=product, model=model, version=version, newest=True, limit=1)
    if before and before[0]["decision"] == REFUSED:
        return before[0]
    return append_decision(ledger, product, model, version, REFUSED, gates, who, reason, run_id, clock, None)


def rollback(
    ledger: Ledger, product: str, model: str, version: int | None = None, *, who: str, reason: str | None = None,
    run_id: str | None = None, clock: Clock = time.time,
) -> DecisionRow:  # fmt: skip
    """Restore the previous champion, or a given earlier one, and return the decision.

    Raises
    ------
    NotThere : there was no champion before, or the given version was never one
    """
    champion = ledger.champion(product, model)
    if champion is None:
        version_row(ledger, product, model)  # raises an error that says what is missing
        raise AssertionError("a model without champion has no champion's row")
    champions = succession(ledger, product, model)
    if version is None and len(champions) < 2:
        raise NotThere(
            f"Model '{model}' has had no champion before version {champion['version']}.",
            fix=f"Promote another version: `caudal model promote {model} VERSION --product {product}`.", model=model, version=champion["version"],
        )  # fmt: skip
    target = champions[-2] if version is None else version
    if version is not None:
        version_row(ledger, product, model, version)
        promoted = {row["version"] for row in history(ledger, product, model) if row["decision"] == PROMOTED}
        if version not in promoted:
            raise NotThere(
                f"Version {version} of model '{model}' was never in production; {', '.join(map(str, sorted(promoted)))} were.",
                fix=f"To put it there: `caudal model promote {model} {version} --product {product}`.", model=model, version=version,
            )  # fmt: skip
    if target == champion["version"]:
        return champion["decision"]
    return append_decision(ledger, product, model, target, ROLLED_BACK, (), who, reason, run_id, clock, champion)


def champion(ledger: Ledger, product: str, model: str) -> ChampionRow | None:
    """Return the version in production with its ``decision``; None before any promotion."""
    return ledger.champion(product, model)


def history(ledger: Ledger, product: str, model: str) -> list[DecisionRow]:
    """Return every decision about a model, oldest first: who, when, which gates with which figures, what it replaced."""
    return ledger.find(decisions, product=product, model=model)


def succession(ledger: Ledger, product: str, model: str) -> list[int]:
    """Return the champions that led to the present one, oldest first: a rollback removes those after the restored one.

    So two rollbacks go back two champions, not back and forth.
    """
    line: list[int] = []
    for row in history(ledger, product, model):
        if row["decision"] == PROMOTED:
            line.append(row["version"])
        elif row["decision"] == ROLLED_BACK:
            if row["version"] in line:
                while line[-1] != row["version"]:
                    line.pop()
            else:
                line.append(row["version"])
    return line


def append_decision(
    ledger: Ledger, product: str, model: str, version: int, decision: str, gates: Iterable[Any], who: str, reason: str | None,
    run_id: str | None, clock: Clock, replaced: ModelVersionRow | None, *, trial: TrialDocument | None = None,
) -> DecisionRow:  # fmt: skip
    """Append a decision, and return it."""
    gate_documents = [dict(gate) if isinstance(gate, Mapping) else gate.as_dict() for gate in gates]
    row = {
        "product": product, "model": model, "version": version, "decision": decision, "gates": gate_documents, "who": who, "at": clock(),
        "replaced": replaced["version"] if replaced else None, "reason": reason, "run_id": run_id, "trial": trial,
    }  # fmt: skip
    ledger.add(decisions, row)
    return ledger.find(decisions, product=product, model=model, newest=True, limit=1)[0]
