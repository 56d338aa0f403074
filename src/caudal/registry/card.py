"""Summaries of models as plain dictionaries, for the terminal, the web app and the run page."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import candidates, decisions, model_versions
from caudal.ledger.rows import (
    CandidateRow,
    DecisionRow,
    EffectDocument,
    LaterDocument,
    ModelGroupDocument,
    ModelVersionRow,
    RuleDocument,
)
from caudal.ledger.selection import compared_groups, compared_rules, input_effects, later_scores
from caudal.ledger.trials import SHADOW, open_trials
from caudal.registry.load import version_row

State = Literal["champion", "former champion", "refused", "undecided", "shadow", "canary"]


class Listed(TypedDict):
    """A version of a model, as the list of versions has it."""

    product: str
    model: str
    version: int
    candidate: str
    state: State
    metrics: dict[str, float | None]
    created_at: float
    training_rows: int
    training_from: str | None
    training_until: str | None
    format: str
    run_id: str


class VersionCard(ModelVersionRow):
    """All that is known of a version.

    ``gates`` are those of the newest decision that had any; ``rules`` compares selection rules by what came later, ``groups`` the candidates by class;
    ``inputs`` says how much each input matters, ``later`` how the version did on rows that came after its training.
    """

    state: State
    candidates: list[CandidateRow]
    decisions: list[DecisionRow]
    rules: list[RuleDocument]
    groups: list[ModelGroupDocument]
    inputs: list[EffectDocument]
    later: list[LaterDocument]


def list_versions(ledger: Ledger, product: str) -> list[Listed]:
    """Return every version of every model of a product, by model and number.

    ``state`` is ``champion``, ``former champion``, ``refused`` or ``undecided``; while a version is on trial, ``shadow`` or ``canary``.
    """
    rows = ledger.find(model_versions, product=product)
    decision_rows = ledger.find(decisions, product=product)
    trials = open_trials(ledger, product=product)
    champions = {model: row["version"] for model in {row["model"] for row in rows} if (row := ledger.champion(product, model))}
    return [
        {
            "product": product, "model": row["model"], "version": row["version"], "candidate": row["candidate"],
            "state": _state(row, champions, decision_rows, trials), "metrics": row["metrics"], "created_at": row["created_at"],
            "training_rows": row["training_rows"], "training_from": row["training_from"], "training_until": row["training_until"],
            "format": row["format"], "run_id": row["run_id"],
        }
        for row in sorted(rows, key=lambda row: (row["model"], row["version"]))
    ]  # fmt: skip


def card(ledger: Ledger, product: str, model: str, version: int | None = None) -> VersionCard:
    """Return everything about a version, by default the champion.

    The ``model_versions`` row, ``state``, the ``candidates`` of its training (best first is not implied: order of training), its
    ``decisions``, and the ``gates`` of the newest decision that had any.

    Raises
    ------
    NotThere : the version does not exist, or there is no champion
    """
    row = version_row(ledger, product, model, version)
    decision_rows = ledger.find(decisions, product=product, model=model, version=row["version"])
    champion = ledger.champion(product, model)
    with_gates = [decision for decision in decision_rows if decision["gates"]]
    return {
        **row,
        "state": _state(
            row, {model: champion["version"]} if champion else {}, decision_rows, open_trials(ledger, product=product, model=model)
        ),
        "candidates": ledger.find(candidates, product=product, model=model, run_id=row["run_id"]),
        "decisions": decision_rows,
        "gates": with_gates[-1]["gates"] if with_gates else [],
        "rules": compared_rules(ledger, product, model, row["run_id"]),
        "groups": compared_groups(ledger, product, model, row["run_id"]),
        "inputs": input_effects(ledger, product, model, row["run_id"]),
        "later": later_scores(ledger, product, model, version=row["version"]),
    }


def _state(row: ModelVersionRow, champions: dict[str, int], decision_rows: list[DecisionRow], trials: list[DecisionRow]) -> State:
    if champions.get(row["model"]) == row["version"]:
        return "champion"
    verdicts = [
        decision["decision"]
        for decision in decision_rows
        if decision["model"] == row["model"] and decision["version"] == row["version"]
    ]
    for trial in trials:
        if (trial["model"], trial["version"]) == (row["model"], row["version"]):
            return "shadow" if trial["decision"] == SHADOW else "canary"
    if any(verdict in ("promoted", "rolled back") for verdict in verdicts):
        return "former champion"
    return "refused" if "refused" in verdicts else "undecided"
