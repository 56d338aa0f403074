"""Trials of versions: begun and ended by decisions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.declarations.trial import key_kind
from caudal.errors import DeclarationProblem, NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import DecisionRow
from caudal.ledger.trials import CANARY, SHADOW, WITHDRAWN, open_trial
from caudal.registry.decide import Clock, append_decision
from caudal.registry.fits import same_fits
from caudal.registry.load import version_row
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.declarations.signature import SignatureDocument


def start_trial(
    home: Home, ledger: Ledger, product: str, model: str, version: int, *, share: float = 0.0, by: str = "row", who: str, reason: str | None = None,
    gates: Sequence[object] = (), run_id: str | None = None, clock: Clock = time.time,
) -> DecisionRow:  # fmt: skip
    """Try a version beside the one in production, and return the decision; it ends the trial of another version.

    Parameters
    ----------
    share : of the keys whose requests it answers; in shadow where it is 0
    by : what the keys are: ``row``, ``caller``, ``header:NAME``, or the name of an input

    Raises
    ------
    NotThere : the version does not exist, or there is no champion beside which it could be tried
    DeclarationProblem : it is the champion, cannot answer the champion's callers, or share and key are none
    """
    row, champion = version_row(ledger, product, model, version), version_row(ledger, product, model)
    if champion["version"] == version:
        raise DeclarationProblem(f"Version {version} of '{model}' is in production already.", fix="Try another version.")
    if not 0 <= share < 1:
        raise DeclarationProblem(f"A share of {share:g} is none.", fix="Take a number above 0 and below 1, such as 0.1.")
    problem = why_not_tried(row["signature"], champion["signature"])
    if problem is None and not same_fits(home.path / row["artifact"], home.path / champion["artifact"]):
        problem = "what its features had fitted is not the same, so a row of that version means something else to it"
    if problem is not None:
        raise DeclarationProblem(
            f"Version {version} of '{model}' cannot be tried beside version {champion['version']}: {problem}.",
            fix=f"Promote it where its callers know: `caudal model promote {model} {version} --product {product}`.",
        )
    trial: Any = {"share": share, "by": key_kind(by)}
    current = open_trial(ledger, product, model)
    if current is not None and current["version"] == version and current["trial"] == trial:
        return current
    return append_decision(
        ledger, product, model, version, CANARY if share else SHADOW, gates, who, reason, run_id, clock, None, trial=trial
    )


def withdraw(
    ledger: Ledger, product: str, model: str, *, who: str, reason: str | None = None, run_id: str | None = None, clock: Clock = time.time
) -> DecisionRow:  # fmt: skip
    """End the trial of a model, and return the decision.

    Raises
    ------
    NotThere : no version is on trial
    """
    version_row(ledger, product, model)
    current = open_trial(ledger, product, model)
    if current is None:
        raise NotThere(
            f"No version of model '{model}' is on trial.",
            fix=f"See `caudal model list --product {product}`; `caudal model shadow {model} VERSION` begins a trial.", model=model,
        )  # fmt: skip
    return append_decision(ledger, product, model, current["version"], WITHDRAWN, (), who, reason, run_id, clock, None)


def why_not_tried(challenger: SignatureDocument, champion: SignatureDocument) -> str | None:
    """Return why a version cannot answer the callers of another, as the rest of a sentence; None where it can.

    Callers send, and servers look up, what the champion needs. So each input of the challenger has to be one of the champion's, of the same type.
    """
    known = {input_["name"]: input_ for input_ in champion["inputs"]}
    for input_ in challenger["inputs"]:
        name = input_["name"]
        if name not in known:
            return f"it needs the input '{name}', which callers of that version do not send"
        if input_["type"] != known[name]["type"]:
            return f"its input '{name}' is of type {input_['type']}, and {known[name]['type']} is sent"
    mine, other = challenger["output"], champion["output"]
    if (mine.get("classes") is None) != (other.get("classes") is None) or mine["type"] != other["type"]:
        return "it predicts " + (
            "numbers, and that one classes" if mine.get("classes") is None else "classes, and that one numbers"
        )
    if mine.get("unit") != other.get("unit"):
        return f"it predicts in {mine.get('unit') or 'no unit'}, and that one in {other.get('unit') or 'no unit'}"
    return None
