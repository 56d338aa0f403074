"""``caudal model shadow | canary | withdraw | compare``: versions tried beside the one in production."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from caudal import registry
from caudal.commands.models import model_of, opened_ledger
from caudal.declarations.settings import Settings
from caudal.declarations.trial import INPUT, TrialLimits, key_kind
from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import DecisionRow
from caudal.ledger.trials import newest_trial, open_trial
from caudal.registry.card import list_versions
from caudal.registry.load import version_row
from caudal.registry.seen import require_passed, seen_in, trial_document, trial_limits
from caudal.runtime.lifecycle import user_name
from caudal.serve.lookup import Lookups
from caudal.serve.signature import read_signature
from caudal.tables.home import Home
from caudal.tables.online import UNREADABLE
from caudal.tables.views import opened_view, view_place

if TYPE_CHECKING:
    from caudal.report.documents import ComparedVersion, ModelCompareDocument


def try_version(
    settings: Settings, model: str, version: int, *, share: float = 0.0, by: str = "row", reason: str | None = None, product: str | None = None
) -> DecisionRow:  # fmt: skip
    """Try a version beside the one in production: in shadow, or where ``share`` is above 0 for that share of the keys ``by``."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        _require_key(home, ledger, name, model, by)
        return registry.start_trial(home, ledger, name, model, version, share=share, by=by, who=user_name(), reason=reason)


def withdraw_version(settings: Settings, model: str, reason: str, product: str | None = None) -> DecisionRow:
    """End the trial of a model."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        return registry.withdraw(ledger, name, model, who=user_name(), reason=reason)


def promote_from_trial(settings: Settings, model: str, version: int | None, reason: str, product: str | None = None) -> DecisionRow:
    """Put the version on trial into production, if it has shown in its trial what its gate asks for, or `TrialLimits` by default.

    Raises
    ------
    NotThere : no version, or another one, is on trial
    NotPassed : too few rows were seen, or a limit is broken
    """
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        trial = open_trial(ledger, name, model)
        if trial is None or version not in (None, trial["version"]):
            raise NotThere(
                f"{f'Version {version}' if version else 'No version'} of model '{model}' is {'not ' if version else ''}on trial.",
                fix=f"Begin one: `caudal model shadow {model} VERSION --product {name}`." if trial is None else f"Version {trial['version']} is.",
                model=model,
            )  # fmt: skip
        limits = trial_limits(version_row(ledger, name, model, trial["version"])) or TrialLimits()
        verdict = require_passed(limits, trial, seen_in(ledger, trial))
        return registry.promote(
            ledger, name, model, trial["version"], gates=[*trial["gates"], verdict], who=user_name(), reason=reason
        )


def compare_versions(settings: Settings, model: str, versions: Sequence[int], product: str | None = None) -> ModelCompareDocument:
    """Return two versions side by side, and what was seen of both while one was tried beside the other.

    Parameters
    ----------
    versions : two, or one, which is compared with the champion; the version on trial or tried last where there is none
    """
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        first, second = _two(ledger, name, model, versions)
        history = registry.history(ledger, name, model)
        trials = [trial for version in (first, second) if (trial := newest_trial(history, version)) is not None]
        seen = [trial_document(ledger, trial) for trial in trials]
        seen = [trial for trial in seen if {each["version"] for each in trial["seen"]} <= {first, second}]
        return {
            "product": name,
            "model": model,
            "versions": [_compared(ledger, name, model, version) for version in (first, second)],
            "trial": max(seen, key=lambda each: each["at"], default=None),
        }


def _two(ledger: Ledger, product: str, model: str, versions: Sequence[int]) -> tuple[int, int]:
    if len(versions) == 2:
        return versions[0], versions[1]
    champion = version_row(ledger, product, model)["version"]
    if versions:
        return champion, versions[0]
    trials = [row for row in registry.history(ledger, product, model) if row["trial"] is not None and row["version"] != champion]
    if not trials:
        raise NotThere(
            f"No version of '{model}' was ever tried beside version {champion}.",
            fix=f"Name two: `caudal model compare {model} 1 2 --product {product}`.", model=model,
        )  # fmt: skip
    return champion, trials[-1]["version"]


def _compared(ledger: Ledger, product: str, model: str, version: int) -> ComparedVersion:
    row = version_row(ledger, product, model, version)
    state = next(each["state"] for each in list_versions(ledger, product) if (each["model"], each["version"]) == (model, version))
    return {
        "version": version, "candidate": row["candidate"], "state": state, "metrics": row["metrics"], "training_rows": row["training_rows"],
        "training_from": row["training_from"], "training_until": row["training_until"], "created_at": row["created_at"],
    }  # fmt: skip


def _require_key(home: Home, ledger: Ledger, product: str, model: str, by: str) -> None:
    """Raise DeclarationProblem where callers are to be shared out by an input that they do not send."""
    key = key_kind(by)
    if not key.startswith(INPUT):
        return
    signature = read_signature(version_row(ledger, product, model)["signature"])
    with closing(view_place(home)) as views:
        try:
            names = list(Lookups(signature, opened_view(views, (product, model))).asked.by_name)
        except UNREADABLE:  # there is none, or servers log it, and callers give all inputs then
            names = list(signature.by_name)
    name = key.removeprefix(INPUT)
    if name not in names:
        raise DeclarationProblem(
            f"Callers of '{model}' send no input '{name}'.", nearest=nearest(name, names), fix="Name an input, or write 'row', 'caller' or 'header:NAME'."
        )  # fmt: skip
