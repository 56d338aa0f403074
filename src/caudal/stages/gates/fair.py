"""``fair``: a fairness metric of the chosen candidate is within a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from caudal.declarations.audit import group_name
from caudal.declarations.declared import names_of
from caudal.declarations.location import outside
from caudal.declarations.model import Task
from caudal.declarations.signature import class_name
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.audit.counts import count_groups, group_rows
from caudal.stages.audit.figures import figures_by, require_reference
from caudal.stages.audit.metrics_of import difference_of, group_metrics_of, metric_forms, metric_names, metric_of, ratio_of
from caudal.stages.audit.tally import Comparison, GroupMetric
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate, text_beside

if TYPE_CHECKING:
    from caudal.stages.audit.figures import GroupComparison, Grouping


@dataclass(frozen=True)
class Fair(JudgingGate):
    """A difference between groups is at most, or a ratio at least, a limit; groups under ``min_rows`` are left out."""

    metric: str
    by: tuple[str, ...]
    at_most: float | None = None
    at_least: float | None = None
    reference: Mapping[str, str] = field(default_factory=dict)
    positive: str | None = None
    min_rows: int = 100
    sure: bool = False
    kind: ClassVar[str] = "fair"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that hold each row's group."""
        return self.by

    @property
    def aim(self) -> str:
        """Return the requirement as it continues a sentence about the model."""
        return f"is to be fair to the groups of {_quoted(self.by)} by '{self.metric}'"

    @property
    def comparison(self) -> Comparison:
        """Return what is compared: the metric itself, or the greatest difference or smallest ratio of a figure of groups."""
        metric = metric_of(self.metric)
        if isinstance(metric, GroupMetric):
            return difference_of(metric.name) if self.at_most is not None else ratio_of(metric.name)
        assert metric is not None
        return metric

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks that have the metric."""
        return ("regression",) if "numbers" in metric_forms(self.comparison) else ("classification",)

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the comparison over all test rows is within the limit."""
        model, rows, tested = evidence.model, evidence.rows, evidence.tested
        if self.positive is not None and self.positive not in (rows.classes or ()):
            raise DeclarationProblem(
                f"The gate fair of model '{model.name}' takes '{self.positive}' as the positive class, which no row is of.",
                nearest=nearest(self.positive, rows.classes or ()), where=str(model.where or ""),
            )  # fmt: skip
        counts = count_groups(
            group_rows(rows.frame[list(self.by)].iloc[tested]), rows.y.iloc[tested], evidence.predicted(evidence.chosen.name),
            classes=rows.classes, positive=self.positive,
        )  # fmt: skip
        for column in self.by:
            groups = {group[0] for group in counts.joined([column]).groups}
            require_reference(self.reference, column, groups, f"The gate fair of model '{model.name}'", str(model.where or ""))
        comparison = self.comparison
        if counts.form not in metric_forms(comparison) or (not counts.has_scores and _of_scores(comparison)):
            reason = (
                f"'{self.metric}' needs a positive class: give positive=, one of {', '.join(map(repr, rows.classes or ()))}"
                if counts.form not in metric_forms(comparison)
                else f"'{self.metric}' is made of probabilities, which {evidence.chosen.name} does not give"
            )
            return GateResult(self._name, False, {"metric": self.metric}, f"{reason}.")
        grouping = figures_by(
            counts, self.by, [comparison], reference=self.reference or "largest", min_rows=self.min_rows, seed=model.seed
        )
        return self._result(evidence.chosen.name, comparison, grouping)

    @property
    def _name(self) -> str:
        return f"fair({self.metric}, {', '.join(self.by)})"

    def _result(self, candidate: str, comparison: Comparison, grouping: Grouping) -> GateResult:
        between = grouping.between[comparison.name]
        figure = between.figure
        small = sum(group.small for group in grouping.groups)
        limit = self.at_most if self.at_most is not None else self.at_least
        figures: dict[str, object] = {
            "metric": comparison.name, "by": list(self.by), "value": figure.value, "low": figure.low, "high": figure.high,
            "at_most": self.at_most, "at_least": self.at_least, "min_rows": self.min_rows, "groups_left_out": small, "sure": self.sure,
            "lowest": _group(between.lowest), "highest": _group(between.highest),
        }  # fmt: skip
        if figure.value is None or limit is None:
            return GateResult(self._name, False, figures, self._nothing_to_compare(comparison, grouping))
        beyond = self._beyond(figure.value, figure.low, figure.high)
        bound = f"at {'most' if self.at_most is not None else 'least'} {limit:.12g} required"
        interval = (
            ""
            if figure.low is None or figure.high is None
            else f" (95%: {text_beside(figure.low, limit, '.3f')} to {text_beside(figure.high, limit, '.3f')})"
        )
        return GateResult(
            self._name, not beyond, figures,
            f"{candidate} has {comparison.name} {text_beside(figure.value, limit, '.3f')}{interval} over {_quoted(self.by)}, {self._beside(between)}: {bound}"
            + (", refused only where the whole interval is beyond it" if self.sure else "")
            + (f"; {small} group{'' if small == 1 else 's'} under {self.min_rows} rows left out." if small else "."),
        )  # fmt: skip

    def _beside(self, between: GroupComparison) -> str:
        if any(column in self.reference for column in self.by):
            return f"beside {', '.join(self.reference[column] for column in self.by if column in self.reference)}"
        part = f"{between.part} " if between.part else ""
        return f"{part}least for {_group(between.lowest)}, greatest for {_group(between.highest)}"

    def _beyond(self, value: float, low: float | None, high: float | None) -> bool:
        """Return whether the limit is passed: by the figure, or with ``sure`` by the whole interval."""
        if self.at_most is not None:
            return (low if self.sure and low is not None else value) > self.at_most
        assert self.at_least is not None
        return (high if self.sure and high is not None else value) < self.at_least

    def _nothing_to_compare(self, comparison: Comparison, grouping: Grouping) -> str:
        large = [group for group in grouping.groups if not group.small]
        if len(large) < 2:
            return (
                f"{len(large)} group{'' if len(large) == 1 else 's'} of {_quoted(self.by)} with at least {self.min_rows} test rows: "
                "nothing to compare."
            )
        return f"{comparison.name} has no value over {_quoted(self.by)}: no two groups have a figure, or that of the reference is missing."


def fair(
    metric: str,
    by: str | Sequence[str],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    reference: Mapping[str, object] | None = None,
    positive: object = None,
    min_rows: int = 100,
    sure: bool = False,
) -> Fair:
    """Return a gate that passes where a fairness metric of the chosen candidate is within a limit, over the test rows of all folds.

    Parameters
    ----------
    metric : a comparison of groups (``demographic_parity_difference``), or a figure of each group (``selection_rate``, ``tpr``, ``mae``), of which
        ``at_most`` limits the greatest difference between groups and ``at_least`` the ratio of the least to the greatest
    by : a column of the features, or several, whose combinations are the groups
    at_most, at_least : the limit; give one
    reference : ``{"sex": "Male"}``: the others are compared with this group only, not with one another
    positive : the positive class; the last of two in order when left out
    min_rows : groups with fewer test rows are left out
    sure : refuse only where the whole 95% interval is beyond the limit; by default the figure itself decides

    Raises
    ------
    DeclarationProblem : the metric does not exist, or not exactly one limit is given

    Examples
    --------
    >>> fair("selection_rate", "sex", at_most=0.1).comparison.name
    'selection_rate_difference'
    """
    where = str(outside())
    if (known := metric_of(metric)) is None:
        raise DeclarationProblem(
            f"cd.fair is given the metric '{metric}', which there is not.", nearest=nearest(metric, metric_names()), where=where
        )
    if (at_most is None) == (at_least is None):
        raise DeclarationProblem("cd.fair needs exactly one limit.", fix="Give at_most=, or at_least= for a ratio.", where=where)
    if isinstance(known, Comparison) and (known.way == "ratio") != (at_least is not None):
        raise DeclarationProblem(
            f"cd.fair is given {'at_most' if at_most is not None else 'at_least'}= for '{metric}', which is a {known.way}.",
            fix=f"Give {'at_least' if known.way == 'ratio' else 'at_most'}=.", where=where,
        )  # fmt: skip
    columns = names_of(by)
    for column in reference or ():
        if column not in columns:
            raise DeclarationProblem(
                f"cd.fair is given a reference of '{column}', which by= does not name.",
                nearest=nearest(column, columns),
                where=where,
            )
    return Fair(
        metric, columns, at_most, at_least, {column: group_name(value) for column, value in (reference or {}).items()},
        None if positive is None else class_name(positive), min_rows, sure,
    )  # fmt: skip


def _group(values: Sequence[str] | None) -> str | None:
    return None if values is None else " × ".join(values)


def _quoted(names: Sequence[str]) -> str:
    return " × ".join(f"'{name}'" for name in names)


def _of_scores(comparison: Comparison) -> bool:
    return any(part.of_scores for part in group_metrics_of(comparison))
