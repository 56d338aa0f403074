"""``promote:<model>``: promote or refuse the newest version by its gates, and append the decision once."""

from __future__ import annotations

from caudal.batch.retraining import fingerprint_of
from caudal.batch.step import StepResult, skipped
from caudal.batch.trials import BY_RUN, begin_trial, decided, judge_open_trial, judged_at_training
from caudal.declarations.model import Model
from caudal.errors import StepFailed
from caudal.ledger.records import decisions, model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.ledger.trials import open_trial
from caudal.registry import find, promote, refuse
from caudal.registry.seen import trial_limits
from caudal.runtime.workspace import Workspace


def work(ws: Workspace, model: Model) -> StepResult:
    """Promote the version that was just trained if it passes every gate, refuse it if not; try it first where a gate asks for that.

    A version that is on trial is decided on before the next one.
    """
    row = _trained_version(ws, model)
    if row is None:
        raise StepFailed(
            f"There is no trained version of '{model.name}' to decide on.", fix="Run the product again.", model=model.name
        )
    version, gates = int(row["version"]), list(row["gates"] or [])
    earlier_decisions = ws.record.ledger.find(decisions, product=ws.product.name, model=model.name, version=version)
    trial = open_trial(ws.record.ledger, ws.product.name, model.name)
    if trial is not None and (trial["who"] == BY_RUN or trial_limits(row) is not None):
        result = judge_open_trial(ws, trial)
        if earlier_decisions or result.state == "skipped" or trial["version"] == version:
            return result
    if earlier_decisions:
        return skipped(f"version {version} is decided on: {earlier_decisions[-1]['decision']}", output_version=version)
    failed = [gate for gate in gates if not gate["passed"]]
    if not failed:
        gates = judged_at_training(gates)
    append_decision = refuse if failed else promote
    reason = "; ".join(gate["message"] or gate["gate"] for gate in failed) if failed else "every gate passed"
    if row["cause"] is not None and row["cause"]["why"]:
        reason += f"; trained because {row['cause']['why']}"
    if not failed and (tried := begin_trial(ws, row, gates, reason)) is not None:
        return decided(tried, tried["gates"])
    decision = append_decision(
        ws.record.ledger,
        ws.product.name,
        model.name,
        version,
        gates=gates,
        who=BY_RUN,
        reason=reason,
        run_id=ws.record.run_id,
        clock=ws.record.clock,
    )
    return decided(decision, gates)


def _trained_version(ws: Workspace, model: Model) -> ModelVersionRow | None:
    """Return the version of the newest features; of a model that waits for a reason to be trained, the newest version."""
    ledger, product = ws.record.ledger, ws.product
    if model.retrain is not None:
        return next(iter(ledger.find(model_versions, product=product.name, model=model.name, newest=True, limit=1)), None)
    fingerprint = fingerprint_of(ws.tables, model, product.audits.get(model.name))
    return find(ws.tables.home, ledger, product.name, model.name, fingerprint)


STEPS = {("model", "promote"): work}
