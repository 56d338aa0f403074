"""``parity``: no group's error is much greater than another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.audit.counts import column_groups
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate, text_beside
from caudal.stages.metrics.scores import error_metric, scores


@dataclass(frozen=True)
class Parity(JudgingGate):
    """The error of the worst group is at most ``max_ratio`` times that of the best; groups under ``min_rows`` are left out."""

    column: str
    max_ratio: float = 1.25
    min_rows: int = 100
    kind: ClassVar[str] = "parity"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column that holds each row's group."""
        return (self.column,)

    @property
    def aim(self) -> str:
        """Return the requirement as it continues a sentence about the model."""
        return f"is to treat the groups of '{self.column}' alike"

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the errors of all groups, over all test rows, are alike."""
        model, rows = evidence.model, evidence.rows
        metric = error_metric(model.metric, model.task)
        name = f"parity({self.column})"
        tested, predicted = evidence.tested, evidence.predicted(evidence.chosen.name)
        actual = rows.y.iloc[tested].reset_index(drop=True)
        codes, groups = column_groups(rows.frame[self.column].iloc[tested])
        errors: dict[str, float] = {}
        counts: dict[str, int] = {}
        small = 0
        for code, group in enumerate(groups):
            inside = codes == code
            count = int(inside.sum())
            if count < self.min_rows:
                small += 1
                continue
            error = scores(model.task, actual[inside], predicted[inside], rows.classes)[metric]
            if error is not None:
                errors[group], counts[group] = error, count
        figures: dict[str, object] = {
            "metric": metric, "groups": errors, "rows": counts, "max_ratio": self.max_ratio, "min_rows": self.min_rows, "groups_left_out": small,
        }  # fmt: skip
        if len(errors) < 2:
            return GateResult(
                name, False, figures,
                f"{len(errors)} group{'' if len(errors) == 1 else 's'} of '{self.column}' with at least {self.min_rows} test rows: nothing to compare.",
            )  # fmt: skip
        worst, best = max(errors, key=lambda group_: errors[group_]), min(errors, key=lambda group_: errors[group_])
        ratio = errors[worst] / errors[best] if errors[best] else (1.0 if errors[worst] == 0 else None)
        ratio_text = "no finite ratio" if ratio is None else f"ratio {text_beside(ratio, self.max_ratio, '.2f')}"
        return GateResult(
            name, ratio is not None and ratio <= self.max_ratio, {**figures, "worst": worst, "best": best, "ratio": ratio},
            f"{metric} {errors[worst]:.4g} for {worst}, {errors[best]:.4g} for {best}: {ratio_text}, at most {self.max_ratio:.12g} required"
            + (f"; {small} group{'' if small == 1 else 's'} under {self.min_rows} rows left out." if small else "."),
        )  # fmt: skip


def parity(column: str, max_ratio: float = 1.25, min_rows: int = 100) -> Parity:
    """Return a gate that passes where no group's error is more than ``max_ratio`` times another's."""
    return Parity(column, max_ratio, min_rows)
