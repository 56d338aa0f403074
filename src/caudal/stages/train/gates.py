"""Check that the names in a model's gates exist, and judge a version by each gate."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.declarations.model import BASELINE, Model
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate
from caudal.stages.metrics.scores import require_metric


def check_gates(model: Model, columns: Sequence[str]) -> None:
    """Raise DeclarationProblem where a gate names a candidate, metric or column that does not exist; this is checked before training."""
    for gate in model.gates:
        if model.task not in gate.tasks:
            raise DeclarationProblem(
                f"Model '{model.name}' {gate.aim}, a metric of {' and '.join(gate.tasks)}, and its task is {model.task}.",
                where=str(model.where or ""),
            )
        for candidate in gate.candidates:
            if candidate not in (*model.candidates, BASELINE):
                raise DeclarationProblem(
                    f"Model '{model.name}' {gate.aim}, which it does not have.",
                    nearest=nearest(candidate, model.candidates), where=str(model.where or ""), candidate=candidate,
                )  # fmt: skip
        for metric in gate.metrics:
            require_metric(model, metric)
        for column in gate.columns:
            if column not in columns:
                raise DeclarationProblem(
                    f"Model '{model.name}' {gate.aim}, which its features do not have.",
                    nearest=nearest(column, columns), fix="List it in the features' keep=[...].", where=str(model.where or ""),
                    column=column,
                )  # fmt: skip


def judge_gates(evidence: Evidence) -> tuple[GateResult, ...]:
    """Return the result of every gate of the model, in the order of declaration."""
    return tuple(gate.judge(evidence) for gate in evidence.model.gates if isinstance(gate, JudgingGate))
