"""What a run does about trials: it begins that of a version whose gates ask for one, and judges the one that it has begun."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.batch.step import StepResult, skipped
from caudal.errors import DeclarationProblem
from caudal.ledger.rows import DecisionRow, GateDocument, ModelVersionRow
from caudal.registry import promote, refuse, start_trial
from caudal.registry.load import version_row
from caudal.registry.seen import GATE, is_of_trial, judge_trial, rows_seen, seen_in, trial_limits
from caudal.runtime.workspace import Workspace

BY_RUN = "caudal run"


def judge_open_trial(ws: Workspace, trial: DecisionRow) -> StepResult:
    """Promote or refuse the version on trial, if a run has put it there and enough was seen of it.

    A trial that a person has begun is the person's to end.
    """
    ledger, product, model, version = ws.record.ledger, trial["product"], trial["model"], trial["version"]
    limits = trial_limits(version_row(ledger, product, model, version)) if trial["who"] == BY_RUN else None
    if limits is None:
        return skipped(f"version {version} is on trial ({trial['decision']}) by {trial['who']}", output_version=version)
    seen = seen_in(ledger, trial)
    verdict = judge_trial(limits, seen)
    if verdict is None:
        return skipped(
            f"version {version} is on trial ({trial['decision']}): {rows_seen(seen):,} of {limits.min_rows:,} rows seen",
            output_version=version,
        )
    decide = promote if verdict["passed"] else refuse
    gates = [*trial["gates"], verdict]
    decision = decide(
        ledger, product, model, version, gates=gates, who=BY_RUN, reason=f"tried: {verdict['message']}", run_id=ws.record.run_id,
        clock=ws.record.clock,
    )  # fmt: skip
    return decided(decision, gates)


def begin_trial(ws: Workspace, row: ModelVersionRow, gates: Sequence[GateDocument], reason: str) -> DecisionRow | None:
    """Begin the trial that a version's gates ask for; return None where they ask for none, or there is no champion beside which it could be tried.

    A version that cannot answer the champion's callers is refused.
    """
    ledger, limits = ws.record.ledger, trial_limits(row)
    product, model, version = row["product"], row["model"], row["version"]
    champion = ledger.champion(product, model)
    if limits is None or champion is None or champion["version"] == version:
        return None
    try:
        return start_trial(
            ws.tables.home, ledger, product, model, version, share=limits.share, by=limits.by, who=BY_RUN, reason=reason, gates=gates,
            run_id=ws.record.run_id, clock=ws.record.clock,
        )  # fmt: skip
    except DeclarationProblem as problem:
        verdict: GateDocument = {
            "gate": GATE,
            "passed": False,
            "figures": {"limits": limits.as_dict()},
            "message": problem.sentence(),
        }
        return refuse(
            ledger, product, model, version, gates=[*gates, verdict], who=BY_RUN, reason=problem.sentence(), run_id=ws.record.run_id,
            clock=ws.record.clock,
        )  # fmt: skip


def judged_at_training(gates: Sequence[GateDocument]) -> list[GateDocument]:
    """Return the gates that training has judged."""
    return [gate for gate in gates if not is_of_trial(gate)]


def decided(decision: DecisionRow, gates: Sequence[GateDocument]) -> StepResult:
    """Return the result of a step that has decided."""
    return StepResult(
        output_version=decision["version"],
        detail={
            "decision": decision["decision"], "version": decision["version"], "replaced": decision["replaced"], "gates": list(gates),
        },
    )  # fmt: skip
